//! Arguments to commands; everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    anteroom::cli::main()
}
