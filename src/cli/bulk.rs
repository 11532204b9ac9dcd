//! `anteroom user bulk …`: many users from a CSV file.

use std::io::{IsTerminal, Read};
use std::path::Path;

use super::Failure;
use super::output::{Output, note, table};
use crate::admin::{Administrator, BULK_BYTES_MAX, BulkAction, BulkLine, BulkList, BulkOutcome};

/// A word on the way each so many lines, for who waits at a terminal.
const PROGRESS_EACH: usize = 50;

pub async fn run(
    administrator: &Administrator<'_>,
    action: BulkAction,
    file: &Path,
    send_email: Option<bool>,
    output: &Output,
) -> Result<(), Failure> {
    let list = BulkList::read(&read(file)?).map_err(|error| Failure::other(format!("{}: {error}", file.display())))?;
    let all = list.len();
    let tells = std::io::stderr().is_terminal();
    let done = |count: usize| {
        if tells && (count.is_multiple_of(PROGRESS_EACH) || count == all) {
            note(&format!("{count} of {all}"));
        }
    };
    let lines = administrator.bulk(list, action, send_email, done).await;
    output.show(&lines, |lines| lines_text(lines));
    if lines.iter().any(|line| line.pin.is_some()) {
        note("The PINs are shown this once. Pass those on that are not mailed, by a way that only their owners read.");
    }
    match lines.iter().filter(|line| line.outcome == BulkOutcome::Failed).count() {
        0 => Ok(()),
        failed => Err(Failure::Other(format!("{failed} of {all} lines failed; the others are done"))),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let refuse = |error: std::io::Error| Failure::other(format!("{}: {error}", file.display()));
    let input: Box<dyn Read> = if file == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file).map_err(refuse)?)
    };
    // One byte more than allowed tells that it is too large.
    let most = u64::try_from(BULK_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut csv = Vec::new();
    input.take(most).read_to_end(&mut csv).map_err(refuse)?;
    Ok(csv)
}

fn lines_text(lines: &[BulkLine]) -> String {
    let row = |line: &BulkLine| {
        let told = line.error.clone().or_else(|| line.mailed.mailed_to.as_ref().map(|to| format!("mail to {to}")));
        let told = told.or_else(|| line.mailed.not_mailed.as_ref().map(|why| format!("no mail: {why}")));
        [
            line.line.to_string(),
            line.identity.clone(),
            line.outcome.name().to_owned(),
            line.conference_id.clone().unwrap_or_default(),
            line.pin.as_ref().map(|pin| pin.expose().to_owned()).unwrap_or_default(),
            told.unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = lines.iter().map(row).collect();
    table(["LINE", "IDENTITY", "RESULT", "CONFERENCE ID", "PIN", "NOTE"], &rows, "no lines")
}
