//! A table with a bound: what was not asked for longest goes first.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// At most `capacity` entries. An entry costs its key twice, its value, and some 60 octets.
#[derive(Debug)]
pub struct Recent<K, V> {
    capacity: usize,
    entries: HashMap<K, (u64, V)>,
    /// By when they were last asked for.
    order: BTreeMap<u64, K>,
    asked: u64,
}

impl<K: Hash + Eq + Clone, V> Recent<K, V> {
    pub fn new(capacity: usize) -> Recent<K, V> {
        Recent { capacity: capacity.max(1), entries: HashMap::new(), order: BTreeMap::new(), asked: 0 }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Looks without making it any younger.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    /// The entry, which is the youngest from now on.
    pub fn entry(&mut self, key: K, new: impl FnOnce() -> V) -> &mut V {
        if !self.entries.contains_key(&key)
            && self.entries.len() >= self.capacity
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.entries.remove(&oldest);
        }
        self.asked = self.asked.wrapping_add(1);
        let entry = self.entries.entry(key.clone()).or_insert_with(|| (0, new()));
        self.order.remove(&entry.0);
        entry.0 = self.asked;
        self.order.insert(self.asked, key);
        &mut entry.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_longest_ago_goes_first() {
        let mut table: Recent<u32, u32> = Recent::new(3);
        for key in [1, 2, 3] {
            table.entry(key, || key * 10);
        }
        *table.entry(1, || unreachable!()) += 1;
        table.entry(4, || 40);
        assert_eq!((table.get(&1), table.get(&2), table.get(&4)), (Some(&11), None, Some(&40)));
        for key in 0..10_000 {
            table.entry(key, || 0);
        }
        assert_eq!((table.len(), table.order.len()), (3, 3));
    }
}
