//! What is printed: text for people, or one JSON document for programs. A reader who has gone away (`| head`) is no error.

use std::io::Write;

use serde::Serialize;

/// Where results go.
#[derive(Debug)]
pub struct Output {
    json: bool,
}

impl Output {
    pub fn new(json: bool) -> Output {
        Output { json }
    }

    pub fn is_json(&self) -> bool {
        self.json
    }

    /// One result: as JSON, or as the text says.
    pub fn show<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) {
        let shown = if self.json { json(value) } else { text(value) };
        let _ = std::io::stdout().write_all(shown.as_bytes());
    }
}

fn json<T: Serialize>(value: &T) -> String {
    // Views are plain structs with text keys: they always become JSON.
    serde_json::to_string_pretty(value).map(|text| text + "\n").unwrap_or_default()
}

/// A word for the reader, beside the result.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Names and values under each other.
pub fn fields(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    rows.iter().map(|(name, value)| format!("{name:width$}  {value}").trim_end().to_owned() + "\n").collect()
}

/// A table with a heading; `empty` where there are no rows.
pub fn table<const COLUMNS: usize>(heading: [&str; COLUMNS], rows: &[[String; COLUMNS]], empty: &str) -> String {
    if rows.is_empty() {
        return format!("{empty}\n");
    }
    let heading = heading.map(str::to_owned);
    let lines = || std::iter::once(&heading).chain(rows);
    let mut widths = [0; COLUMNS];
    for line in lines() {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String; COLUMNS]| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other() {
        let rows = [["ä".to_owned(), "1".to_owned()], ["bbb".to_owned(), String::new()]];
        assert_eq!(table(["k", "value"], &rows, "nothing"), "k    value\nä    1\nbbb\n");
        assert_eq!(table(["k", "value"], &[], "nothing"), "nothing\n");
        assert_eq!(fields(&[("pin", "1".to_owned()), ("identity", "a".to_owned())]), "pin       1\nidentity  a\n");
    }
}
