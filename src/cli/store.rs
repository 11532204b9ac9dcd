//! `anteroom store …`: the store as a whole.

use clap::Subcommand;

use super::output::{Output, note, table};
use super::{Failure, runtime};
use crate::config::value::{Value, store_url};
use crate::config::{StoreConfig, StoreUrl};
use crate::credentials::{Store, copy};

/// While much is copied the reader sees that it goes on: a line each second or so.
const ROWS_A_LINE: u64 = 10_000;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bring the tables up to date (a server does so too when it starts)
    Migrate,
    /// Look whether the store is whole; exit status 1 where it is not
    Check,
    /// Copy everything into an empty store, such as sqlite:anteroom.db postgres://anteroom@db/anteroom; stop the servers first
    Copy {
        /// sqlite:PATH or postgres://USER@HOST/DATABASE
        from: String,
        /// The same; a password comes from PGPASSWORD or ~/.pgpass
        to: String,
    },
}

impl Command {
    pub fn run(self, config: &StoreConfig, output: &Output) -> Result<(), Failure> {
        runtime()?.block_on(async {
            match self {
                Command::Migrate => {
                    open(config).await?.close().await;
                    output.show(&true, |_| "the tables are up to date\n".to_owned());
                    Ok(())
                }
                Command::Check => {
                    let store = open(config).await?;
                    let findings = store.check().await;
                    store.close().await;
                    let findings = findings.map_err(Failure::other)?;
                    output.show(&findings, |findings| match findings.as_slice() {
                        [] => "the store is whole\n".to_owned(),
                        findings => findings.iter().map(|finding| format!("{finding}\n")).collect(),
                    });
                    if findings.is_empty() { Ok(()) } else { Err(Failure::Shown) }
                }
                Command::Copy { from, to } => {
                    let (from, to) = (named("FROM", &from)?, named("TO", &to)?);
                    if let StoreUrl::Sqlite(path) = &from
                        && !path.exists()
                    {
                        return Err(Failure::Other(format!("FROM: there is no store {}", path.display())));
                    }
                    let told = |copied: &copy::Copied| {
                        if copied.rows == copied.of || copied.rows.is_multiple_of(ROWS_A_LINE) {
                            note(&format!("{}: {} of {} rows", copied.table, copied.rows, copied.of));
                        }
                    };
                    let copied = copy::copy(&from, &to, told).await?;
                    output.show(&copied, |copied| {
                        let rows: Vec<_> =
                            copied.iter().map(|copied| [copied.table.to_owned(), copied.rows.to_string()]).collect();
                        table(["TABLE", "ROWS"], &rows, "nothing")
                    });
                    note("The copy needs the same server key: name its file as store.key_file.");
                    Ok(())
                }
            }
        })
    }
}

async fn open(config: &StoreConfig) -> Result<Store, Failure> {
    match &config.url {
        StoreUrl::Memory => Err(Failure::Other("store.url is memory: such a store ends with its process".to_owned())),
        StoreUrl::Sqlite(path) if !path.exists() => {
            Err(Failure::Other(format!("store.url: there is no store {}", path.display())))
        }
        StoreUrl::Sqlite(_) | StoreUrl::Postgres(_) => Ok(Store::open(config).await?),
    }
}

fn named(which: &str, text: &str) -> Result<StoreUrl, Failure> {
    match store_url(&Value::Bare(text.to_owned())) {
        Ok(url) if url != StoreUrl::Memory => Ok(url),
        _ => Err(Failure::Usage(format!("{which}: write sqlite:PATH or postgres://USER@HOST/DATABASE"))),
    }
}
