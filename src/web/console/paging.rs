//! Lists that are read page by page: which rows this page shows, and where the next page and the first one are.

use super::address;

/// What a person looks through.
const ROWS: usize = 50;

/// How many rows a page asks for: one more than it shows, which tells that there is another page.
pub const ASKED: u32 = ROWS as u32 + 1;

/// Where else there is to read.
pub struct Turns {
    pub next: Option<String>,
    /// `None`: this is the first page.
    pub first: Option<String>,
}

/// Cuts `rows` down to a page. A page begins behind the row whose key stands in its address as `behind`; `is_first`: this
/// one behind none.
pub fn turn<T>(
    rows: &mut Vec<T>,
    path: &str,
    search: &str,
    behind: &str,
    is_first: bool,
    key: impl Fn(&T) -> String,
) -> Turns {
    let more = rows.len() > ROWS;
    rows.truncate(ROWS);
    let last = rows.last().filter(|_| more).map(key);
    Turns {
        next: last.map(|last| address(path, &[("search", search), (behind, &last)])),
        first: (!is_first).then(|| address(path, &[("search", search)])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_more_than_a_page_is_another_page() {
        let turns = |count: usize, search: &str, is_first| {
            let mut rows: Vec<usize> = (0..count).collect();
            let Turns { next, first } = turn(&mut rows, "/audit", search, "before", is_first, usize::to_string);
            (rows.len(), next, first)
        };
        assert_eq!(turns(0, "", true), (0, None, None));
        assert_eq!(turns(50, "a b", false), (50, None, Some("/audit?search=a%20b".to_owned())));
        assert_eq!(turns(51, "", true), (50, Some("/audit?before=49".to_owned()), None));
    }
}
