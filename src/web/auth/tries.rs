//! How often who may try a password. Counted in the process: what is to be slowed down is guessing over the network, and
//! a restart gives nobody enough tries to matter.
//!
//! A try is counted before the password is looked at, so that a hundred at once get no more than one after another. An
//! account whose tries are used up stays open to addresses from which it was signed in to lately: strangers can't lock
//! anybody out.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Counts begin anew after this.
const WINDOW: Duration = Duration::from_secs(15 * 60);

/// Wrong tries of one account in a window: people mistype; passwords have ten characters and more.
const ACCOUNT_TRIES: u32 = 10;

/// Wrong tries from one address in a window: an office behind one address has several people in it.
const ADDRESS_TRIES: u32 = 30;

/// An address is an account's own for this long after it signed in from there.
const KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Rows of each table. When one is full the oldest goes: a flood of names or addresses costs memory once.
const ROWS_MAX: usize = 10_000;

/// Bytes of a name that are told apart: no account has a longer one.
const NAME_BYTES_MAX: usize = 256;

/// See the module.
#[derive(Debug, Default)]
pub struct SignInTries(Mutex<Tables>);

#[derive(Debug, Default)]
struct Tables {
    addresses: HashMap<IpAddr, Count>,
    accounts: HashMap<String, Count>,
    known: HashMap<(String, IpAddr), Count>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    since: Instant,
    tries: u32,
}

impl SignInTries {
    /// Counts a try.
    ///
    /// # Errors
    /// No try is left: when there will be.
    pub fn begin(&self, now: Instant, name: &str, address: IpAddr) -> Result<(), Duration> {
        let (name, address) = (account_name(name), network(address));
        let mut tables = self.lock();
        let known = tables.known.get(&(name.clone(), address)).is_some_and(|row| row.is_within(KNOWN_FOR, now));
        charge(&mut tables.addresses, address, ADDRESS_TRIES, now)?;
        if known {
            return Ok(());
        }
        charge(&mut tables.accounts, name, ACCOUNT_TRIES, now)
    }

    /// The password was right: the try is given back.
    pub fn succeeded(&self, now: Instant, name: &str, address: IpAddr) {
        let (name, address) = (account_name(name), network(address));
        let mut tables = self.lock();
        give_back(&mut tables.addresses, &address);
        give_back(&mut tables.accounts, &name);
        put(&mut tables.known, (name, address), Count { since: now, tries: 0 }, KNOWN_FOR, now);
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Count {
    fn is_within(&self, window: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < window
    }
}

fn charge<K: Hash + Eq + Clone>(
    rows: &mut HashMap<K, Count>,
    key: K,
    limit: u32,
    now: Instant,
) -> Result<(), Duration> {
    let row = rows.get(&key).copied().filter(|row| row.is_within(WINDOW, now));
    let row = row.unwrap_or(Count { since: now, tries: 0 });
    if row.tries >= limit {
        return Err(WINDOW.saturating_sub(now.saturating_duration_since(row.since)));
    }
    put(rows, key, Count { tries: row.tries.saturating_add(1), ..row }, WINDOW, now);
    Ok(())
}

fn give_back<K: Hash + Eq>(rows: &mut HashMap<K, Count>, key: &K) {
    if let Some(row) = rows.get_mut(key) {
        row.tries = row.tries.saturating_sub(1);
    }
}

fn put<K: Hash + Eq + Clone>(rows: &mut HashMap<K, Count>, key: K, row: Count, window: Duration, now: Instant) {
    if rows.len() >= ROWS_MAX && !rows.contains_key(&key) {
        rows.retain(|_, row| row.is_within(window, now));
        if rows.len() >= ROWS_MAX
            && let Some(oldest) = rows.iter().min_by_key(|(_, row)| row.since).map(|(key, _)| key.clone())
        {
            rows.remove(&oldest);
        }
    }
    rows.insert(key, row);
}

fn account_name(name: &str) -> String {
    let mut name = name.trim().to_lowercase();
    let mut end = name.len().min(NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    name.truncate(end);
    name
}

/// Who has one IPv6 address has its whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u32) -> IpAddr {
        IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 + last))
    }

    #[test]
    fn an_account_has_so_many_tries_from_wherever() {
        let (tries, now) = (SignInTries::default(), Instant::now());
        for count in 0..ACCOUNT_TRIES {
            tries.begin(now, "anna", address(count)).unwrap();
        }
        let wait = tries.begin(now, " Anna", address(99)).unwrap_err();
        assert_eq!(wait, WINDOW);
        tries.begin(now, "bob", address(99)).unwrap();
        tries.begin(now + WINDOW, "anna", address(99)).unwrap();
    }

    #[test]
    fn who_was_there_before_is_not_locked_out_by_strangers() {
        let (tries, now) = (SignInTries::default(), Instant::now());
        tries.begin(now, "anna", address(1)).unwrap();
        tries.succeeded(now, "anna", address(1));
        for count in 0..ACCOUNT_TRIES {
            tries.begin(now, "anna", address(10 + count)).unwrap();
        }
        tries.begin(now, "anna", address(30)).unwrap_err();
        tries.begin(now, "anna", address(1)).unwrap();
    }

    #[test]
    fn an_address_has_so_many_tries_whatever_the_names() {
        let (tries, now) = (SignInTries::default(), Instant::now());
        let within = |last: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last));
        for count in 0..u16::try_from(ADDRESS_TRIES).unwrap() {
            tries.begin(now, &format!("name{count}"), within(count)).unwrap();
        }
        tries.begin(now, "other", within(999)).unwrap_err();
        tries.begin(now, "other", address(1)).unwrap();
    }

    #[test]
    fn a_flood_of_names_takes_no_more_than_its_rows() {
        let (tries, now) = (SignInTries::default(), Instant::now());
        for count in 0..2 * ROWS_MAX {
            let later = now + Duration::from_millis(count as u64);
            tries.begin(later, &format!("{count}{}", "ü".repeat(1_000)), address(count as u32)).unwrap();
        }
        let tables = tries.lock();
        assert!(tables.accounts.len() <= ROWS_MAX && tables.addresses.len() <= ROWS_MAX);
        assert!(tables.accounts.keys().all(|name| name.len() <= NAME_BYTES_MAX));
    }
}
