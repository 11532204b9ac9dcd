//! Who signs in: people, each with a role, and the tokens of programs.

use serde::Serialize;
use utoipa::ToSchema;

use super::administrator::{AdminError, Administrator};
use super::view::ShownOnce;
use crate::credentials::{Account, AccountPage, ApiToken, ApiTokenKey, NewAccount, NewApiToken, Role};

/// Somebody who signs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AccountView {
    pub key: u64,
    /// With which he signs in.
    pub name: String,
    /// `administrator`, `operator`, `user`.
    #[schema(example = "operator")]
    pub role: &'static str,
    /// Whose meetings he looks after, where he is a user.
    pub identity: Option<String>,
    pub disabled: bool,
    pub created_at: String,
    /// None: he has not chosen one yet.
    pub password_set_at: Option<String>,
}

impl From<&Account> for AccountView {
    fn from(account: &Account) -> AccountView {
        AccountView {
            key: account.key.0,
            name: account.name.clone(),
            role: account.role.name(),
            identity: account.identity.clone(),
            disabled: account.disabled,
            created_at: account.created_at.to_string(),
            password_set_at: account.password_set_at.map(|at| at.to_string()),
        }
    }
}

/// What lets somebody choose his password, once.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountLinkView {
    #[serde(flatten)]
    pub account: AccountView,
    /// Shown once: what stands behind `/set-password#` of the console's address.
    pub link: ShownOnce,
}

/// A program that may use the API. Its secret is not among it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TokenView {
    pub key: u64,
    pub label: String,
    /// `administrator`, `operator`, `user`.
    #[schema(example = "operator")]
    pub role: &'static str,
    /// For role user: whose meetings.
    pub identity: Option<String>,
    pub made_by: String,
    pub created_at: String,
    /// None: it holds until it is revoked.
    pub expires_at: Option<String>,
    pub last_used_at: Option<String>,
}

impl From<&ApiToken> for TokenView {
    fn from(token: &ApiToken) -> TokenView {
        TokenView {
            key: token.key.0,
            label: token.label.clone(),
            role: token.role.name(),
            identity: token.identity.clone(),
            made_by: token.made_by.clone(),
            created_at: token.created_at.to_string(),
            expires_at: token.expires_at.map(|at| at.to_string()),
            last_used_at: token.last_used_at.map(|at| at.to_string()),
        }
    }
}

/// A new token: the only time that its secret is shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewTokenView {
    #[serde(flatten)]
    pub token: TokenView,
    pub secret: ShownOnce,
}

impl Administrator<'_> {
    /// In the order of their names.
    pub async fn accounts(&self, page: &AccountPage) -> Result<Vec<AccountView>, AdminError> {
        Ok(self.store().accounts(page).await?.iter().map(AccountView::from).collect())
    }

    /// Somebody who may sign in once he has chosen a password, and the link by which he chooses it.
    pub async fn add_account(&self, new: &NewAccount) -> Result<AccountLinkView, AdminError> {
        let account = self.store().add_account(self.actor(), new).await?;
        self.link_to(&account).await
    }

    /// A new link for who has lost his password, or the link before. That one does not hold any more.
    pub async fn account_link(&self, name: &str) -> Result<AccountLinkView, AdminError> {
        let account = self.store().account_by_name(name).await?;
        self.link_to(&account).await
    }

    async fn link_to(&self, account: &Account) -> Result<AccountLinkView, AdminError> {
        let link = self.store().make_link(self.actor(), account.key).await?;
        Ok(AccountLinkView { account: AccountView::from(account), link: ShownOnce::new(link) })
    }

    pub async fn account(&self, name: &str) -> Result<AccountView, AdminError> {
        Ok(AccountView::from(&self.store().account_by_name(name).await?))
    }

    /// Another role; whoever is signed in has it from the next request on.
    pub async fn change_role(&self, name: &str, role: Role) -> Result<AccountView, AdminError> {
        let key = self.store().account_by_name(name).await?.key;
        Ok(AccountView::from(&self.store().change_role(self.actor(), key, role).await?))
    }

    /// A disabled account is signed out everywhere.
    pub async fn disable_account(&self, name: &str, disabled: bool) -> Result<AccountView, AdminError> {
        let key = self.store().account_by_name(name).await?.key;
        Ok(AccountView::from(&self.store().disable_account(self.actor(), key, disabled).await?))
    }

    /// The newest first.
    pub async fn tokens(&self) -> Result<Vec<TokenView>, AdminError> {
        Ok(self.store().tokens().await?.iter().map(TokenView::from).collect())
    }

    pub async fn make_token(&self, new: &NewApiToken) -> Result<NewTokenView, AdminError> {
        let (token, secret) = self.store().make_token(self.actor(), new).await?;
        Ok(NewTokenView { token: TokenView::from(&token), secret: ShownOnce::new(secret) })
    }

    pub async fn revoke_token(&self, key: ApiTokenKey) -> Result<TokenView, AdminError> {
        Ok(TokenView::from(&self.store().revoke_token(self.actor(), key).await?))
    }
}
