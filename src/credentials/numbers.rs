//! Dial-in numbers: by which callers reach this organization, for mails, invitations and people.

use super::contract::{Actor, StoreError};
use super::database::{Ask, Row, Transaction, sql};
use super::keys::NumberKey;
use super::rows::audit_entry;
use super::rows::common::write_audit;
use super::store::Store;

/// Numbers at most: every mail lists them all.
pub const NUMBERS_MAX: u64 = 200;

const NUMBER_CHARS_MAX: usize = 40;
const LABEL_CHARS_MAX: usize = 100;

/// The fact that the configuration's numbers were taken over once: who removes them all has none.
const SEEDED: &str = "numbers-seeded";

/// A dial-in number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    pub key: NumberKey,
    /// As people read it: `+49 30 1234567`.
    pub number: String,
    /// Of the announcements that callers hear there, such as `en` or `de-AT` (RFC 5646).
    pub language: String,
    /// Where it is, such as a town. May be empty.
    pub label: String,
    /// The one that is named first, for whoever has none of his own.
    pub is_default: bool,
}

/// A number to be added, or how one is to be from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNumber {
    pub number: String,
    pub language: String,
    pub label: String,
    pub is_default: bool,
}

impl NewNumber {
    fn checked(&self) -> Result<NewNumber, StoreError> {
        let refuse = |why: &str| Err(StoreError::Invalid(why.to_owned()));
        let number = self.number.split_whitespace().collect::<Vec<_>>().join(" ");
        let digits = number.chars().filter(char::is_ascii_digit).count();
        let rest = number.strip_prefix('+').unwrap_or(&number);
        let is_number = rest.chars().all(|c| c.is_ascii_digit() || " -./()".contains(c));
        if !is_number || !(3..=20).contains(&digits) || number.chars().count() > NUMBER_CHARS_MAX {
            return refuse("a dial-in number has 3 to 20 digits, such as +49 30 1234567");
        }
        let language = self.language.trim().to_owned();
        let is_tag = |tag: &str| {
            !tag.is_empty()
                && tag.len() <= 35
                && tag
                    .split('-')
                    .all(|part| (1..=8).contains(&part.len()) && part.chars().all(|c| c.is_ascii_alphanumeric()))
                && tag
                    .split('-')
                    .next()
                    .is_some_and(|first| first.len() >= 2 && first.chars().all(|c| c.is_ascii_alphabetic()))
        };
        if !is_tag(&language) {
            return refuse("a language is a tag such as en, de or pt-BR");
        }
        let label = self.label.trim().to_owned();
        if label.chars().count() > LABEL_CHARS_MAX || label.contains(char::is_control) {
            return refuse("a label has up to 100 characters, and no line breaks");
        }
        Ok(NewNumber { number, language, label, is_default: self.is_default })
    }
}

impl Store {
    /// All, the default one first, then by language and label.
    pub async fn numbers(&self) -> Result<Vec<Number>, StoreError> {
        let list = sql("SELECT * FROM numbers ORDER BY is_default DESC, language, label, number_key");
        self.database().all(list).await?.iter().map(number_from).collect()
    }

    /// The first number is the default one, whatever is said.
    pub async fn add_number(&self, actor: &Actor, new: &NewNumber) -> Result<Number, StoreError> {
        let new = new.checked()?;
        let mut transaction = self.database().change("numbers").await?;
        let row = transaction.one(sql("SELECT count(*) AS numbers FROM numbers")).await?;
        let count = row.get::<u64>("numbers")?;
        if count >= NUMBERS_MAX {
            return Err(StoreError::Conflict(format!("there are {NUMBERS_MAX} numbers, and no more can be kept")));
        }
        let number = insert(&mut transaction, &NewNumber { is_default: new.is_default || count == 0, ..new }).await?;
        let audit = audit_entry(self.now(), actor, "number.add", &number.number, detail(&number));
        write_audit(&mut transaction, &audit).await?;
        transaction.commit().await?;
        Ok(number)
    }

    /// The default number stays it until another one becomes it.
    pub async fn change_number(&self, actor: &Actor, key: NumberKey, new: &NewNumber) -> Result<Number, StoreError> {
        let new = new.checked()?;
        let mut transaction = self.database().change("numbers").await?;
        let before = number(&mut transaction, key).await?;
        refuse_twice(&mut transaction, &new.number, Some(key)).await?;
        let is_default = new.is_default || before.is_default;
        if is_default && !before.is_default {
            transaction.execute(sql("UPDATE numbers SET is_default = FALSE WHERE is_default")).await?;
        }
        let update = sql("UPDATE numbers SET number = $2, language = $3, label = $4, is_default = $5
                          WHERE number_key = $1")
        .bind(key)
        .bind(&new.number)
        .bind(&new.language)
        .bind(&new.label)
        .bind(is_default);
        transaction.execute(update).await?;
        let after = number(&mut transaction, key).await?;
        let audit = audit_entry(self.now(), actor, "number.set", &before.number, detail(&after));
        write_audit(&mut transaction, &audit).await?;
        transaction.commit().await?;
        Ok(after)
    }

    /// Who had it has the default one from then on. Without the default one, the oldest of the others is it.
    pub async fn remove_number(&self, actor: &Actor, key: NumberKey) -> Result<Number, StoreError> {
        let mut transaction = self.database().change("numbers").await?;
        let removed = number(&mut transaction, key).await?;
        transaction.execute(sql("UPDATE users SET number = NULL WHERE number = $1").bind(key)).await?;
        transaction.execute(sql("DELETE FROM numbers WHERE number_key = $1").bind(key)).await?;
        if removed.is_default {
            let next = sql("UPDATE numbers SET is_default = TRUE
                            WHERE number_key = (SELECT min(number_key) FROM numbers)");
            transaction.execute(next).await?;
        }
        let audit = audit_entry(self.now(), actor, "number.remove", &removed.number, "");
        write_audit(&mut transaction, &audit).await?;
        transaction.commit().await?;
        Ok(removed)
    }

    /// Takes the configuration's numbers over into a store that never had any: afterwards they are the administrators'.
    pub async fn seed_numbers(&self, numbers: &[NewNumber]) -> Result<(), StoreError> {
        if numbers.is_empty() || self.rows().fact(SEEDED).await?.is_some() {
            return Ok(());
        }
        let mut transaction = self.database().change("numbers").await?;
        let row = transaction.one(sql("SELECT count(*) AS numbers FROM numbers")).await?;
        let mut count = row.get::<u64>("numbers")?;
        let seeded = sql("INSERT INTO facts (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
            .bind(SEEDED)
            .bind("yes");
        // Of two servers that start at once one does it.
        if transaction.execute(seeded).await? == 1 && count == 0 {
            let actor = Actor::new("anteroom", "configuration");
            let default = numbers.iter().position(|number| number.is_default).unwrap_or_default();
            for (place, new) in numbers.iter().enumerate() {
                count += 1;
                if count > NUMBERS_MAX {
                    break;
                }
                let new = NewNumber { is_default: place == default, ..new.checked()? };
                let number = insert(&mut transaction, &new).await?;
                let audit = audit_entry(self.now(), &actor, "number.add", &number.number, detail(&number));
                write_audit(&mut transaction, &audit).await?;
            }
        }
        transaction.commit().await
    }
}

fn number_from(row: &Row) -> Result<Number, StoreError> {
    Ok(Number {
        key: row.get("number_key")?,
        number: row.get("number")?,
        language: row.get("language")?,
        label: row.get("label")?,
        is_default: row.get("is_default")?,
    })
}

fn detail(number: &Number) -> String {
    let default = if number.is_default { " default" } else { "" };
    format!("{} language={} label={}{default}", number.number, number.language, number.label)
}

async fn number(transaction: &mut Transaction, key: NumberKey) -> Result<Number, StoreError> {
    let row = transaction.optional(sql("SELECT * FROM numbers WHERE number_key = $1").bind(key)).await?;
    let none = || StoreError::NotThere { what: "number with the key", name: key.to_string() };
    number_from(&row.ok_or_else(none)?)
}

async fn refuse_twice(transaction: &mut Transaction, number: &str, but: Option<NumberKey>) -> Result<(), StoreError> {
    let other = sql("SELECT number_key FROM numbers WHERE number = $1 AND ($2 IS NULL OR number_key <> $2)")
        .bind(number)
        .bind(but);
    match transaction.optional(other).await? {
        Some(_) => Err(StoreError::Conflict(format!("the number {number} is there already"))),
        None => Ok(()),
    }
}

async fn insert(transaction: &mut Transaction, new: &NewNumber) -> Result<Number, StoreError> {
    refuse_twice(transaction, &new.number, None).await?;
    if new.is_default {
        transaction.execute(sql("UPDATE numbers SET is_default = FALSE WHERE is_default")).await?;
    }
    let insert = sql("INSERT INTO numbers (number, language, label, is_default) VALUES ($1, $2, $3, $4)
                      RETURNING number_key")
    .bind(&new.number)
    .bind(&new.language)
    .bind(&new.label)
    .bind(new.is_default);
    let key = transaction.one(insert).await?.get("number_key")?;
    number(transaction, key).await
}
