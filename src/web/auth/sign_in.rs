//! A person signs in, chooses a password, signs out. The console's pages and the API do it by these.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use axum::http::{Extensions, HeaderMap, StatusCode};
use axum_extra::extract::cookie::{Cookie, SameSite};
use tokio::time::timeout;

use super::super::Site;
use super::super::peer::Peer;
use super::super::problem::Problem;
use crate::credentials::{Account, Actor, StoreError};
use crate::words::secret::Secret;

/// Passwords that are checked at once. They share the hasher with the callers' PINs, who wait on the line.
pub const SIGN_INS_AT_ONCE: usize = 2;

/// For a place among them.
const PLACE_WITHIN: Duration = Duration::from_secs(5);

/// Where a request of a person comes from.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    pub address: IpAddr,
    /// Its connection is encrypted.
    pub secure: bool,
}

impl Client {
    pub fn of(site: &Site, extensions: &Extensions, headers: &HeaderMap) -> Client {
        let peer = Peer::of(extensions);
        Client {
            address: peer.client(headers, &site.trusted_proxies),
            secure: peer.is_secure(headers, &site.trusted_proxies),
        }
    }

    /// Where the cookie of a session lies. With TLS its name tells the browser to take it from nobody else and over nothing
    /// else (RFC 6265bis, section 4.1.3.2).
    pub fn cookie_name(self) -> &'static str {
        if self.secure { "__Host-anteroom" } else { "anteroom" }
    }

    fn cookie(self, value: String) -> Cookie<'static> {
        Cookie::build((self.cookie_name(), value))
            .path("/")
            .http_only(true)
            .secure(self.secure)
            .same_site(SameSite::Strict)
            .build()
    }

    /// Takes the cookie away.
    pub fn no_cookie(self) -> Cookie<'static> {
        let mut cookie = self.cookie(String::new());
        cookie.make_removal();
        cookie
    }
}

/// A session that has just begun.
#[derive(Debug)]
pub struct Begun {
    pub account: Account,
    /// To be set in the answer.
    pub cookie: Cookie<'static>,
    pub csrf: String,
}

/// Checks name and password, and begins a session.
///
/// # Errors
/// Name or password is wrong, and which of them is not told; or there were too many tries.
pub async fn sign_in(site: &Site, client: Client, name: &str, password: &Secret) -> Result<Begun, Problem> {
    let account = check(site, client, name, password).await?;
    let Some(account) = account else {
        // The name is not logged: people type passwords into the wrong field.
        tracing::warn!(from = %client.address, "a sign-in was refused: wrong name or password");
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "wrong-sign-in", "the name or the password is wrong"));
    };
    tracing::info!(who = %account.name, from = %client.address, "somebody signed in");
    begin(site, client, account).await
}

/// One try, counted before it is looked at.
async fn check(site: &Site, client: Client, name: &str, password: &Secret) -> Result<Option<Account>, Problem> {
    site.tries.begin(Instant::now(), name, client.address).map_err(|wait| {
        tracing::warn!(from = %client.address, "sign-ins are refused for some time: too many wrong ones");
        let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).max(1);
        let minutes = seconds.div_ceil(60);
        Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-tries",
            format!("too many wrong tries: wait {minutes} minutes, then try again"),
        )
        .again_after(seconds)
    })?;
    let Ok(Ok(_place)) = timeout(PLACE_WITHIN, site.sign_ins.acquire()).await else {
        let detail = "too many sign in at this moment: try again";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).again_after(1));
    };
    let account = site.store.verify_password(name, password).await?;
    if account.is_some() {
        site.tries.succeeded(Instant::now(), name, client.address);
    }
    Ok(account)
}

async fn begin(site: &Site, client: Client, account: Account) -> Result<Begun, Problem> {
    let token = site.store.open_session(account.key, &client.address.to_string()).await?;
    let Some(session) = site.store.session(&token).await? else {
        return Err(Problem::new(StatusCode::CONFLICT, "no-session", "the sign-in was ended at once: try again"));
    };
    let cookie = client.cookie(token.expose().to_owned());
    Ok(Begun { account, cookie, csrf: session.csrf })
}

/// Makes the first administrator, by the link that the server printed at its first start, and signs him in.
pub async fn first_administrator(
    site: &Site,
    client: Client,
    link: &Secret,
    name: &str,
    password: &Secret,
) -> Result<Begun, Problem> {
    let account = site.store.first_administrator(link, name, password, &client.address.to_string()).await?;
    tracing::info!(who = %account.name, from = %client.address, "the first administrator has a sign-in");
    begin(site, client, account).await
}

/// Sets the password of the account whose link this is, and signs its owner in.
pub async fn set_password_by_link(
    site: &Site,
    client: Client,
    link: &Secret,
    password: &Secret,
) -> Result<Begun, Problem> {
    let account = site.store.set_password_by_link(link, password, &client.address.to_string()).await?;
    begin(site, client, account).await
}

/// Somebody who is signed in chooses another password. He shows the old one, so that an open browser is not enough; all
/// his sessions end, and a new one begins here.
pub async fn change_password(
    site: &Site,
    client: Client,
    name: &str,
    old: &Secret,
    new: &Secret,
) -> Result<Begun, Problem> {
    let Some(account) = check(site, client, name, old).await? else {
        return Err(Problem::new(StatusCode::FORBIDDEN, "wrong-password", "the old password is wrong"));
    };
    let actor = Actor::new(&account.name, client.address.to_string());
    let account = site.store.set_password(&actor, account.key, new).await?;
    begin(site, client, account).await
}

/// Ends a session. Ending it twice is no error.
pub async fn sign_out(site: &Site, secret: &Secret) -> Result<(), StoreError> {
    site.store.close_session(secret).await
}
