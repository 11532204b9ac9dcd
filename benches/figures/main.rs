//! The figures of Anteroom: what a call costs, measured beside what no program can leave out, in one run on one machine.
//!
//! ```text
//! cargo bench --bench figures                          everything, some twelve minutes
//! cargo bench --bench figures -- --quick               everything, below one minute, roughly
//! cargo bench --bench figures -- --calls 3000 --only waiting
//! cargo bench --bench figures -- --json                one JSON document on standard output
//! ```
//!
//! One thread plays all callers, against the real server as a process of its own and, by turns, against the floor.
//!
//! | file | its idea |
//! | --- | --- |
//! | [`waiting`] | floor, lobby, meeting, start: calls that go on |
//! | [`sizes`] | the same calls in meetings of 4, 50, 200, and in one |
//! | [`capacity`] | how many calls the machine holds |
//! | [`set_up`] | calls that come and go |
//! | [`floor`] | the bare program |
//! | [`server`] | the server as a process |
//! | [`callers`] | the load generator: one thread, one clock |
//! | [`fleet`], [`phones`] | its voices and its telephones |
//! | [`argon2`] | how long a check of a PIN takes |
//! | [`keys`], [`sounds`] | what callers type and say, and by what they know the music |
//! | [`delivery`] | packets, and gaps between them |
//! | [`batch`], [`clock`] | many datagrams in one call, each with the kernel's time |
//! | [`process`], `tests/support/program.rs` | what a process costs, and on which machine; how the server's is started |
//! | [`plan`], [`report`] | how much is measured, and how it is told |

mod argon2;
mod batch;
mod callers;
mod capacity;
mod clock;
mod delivery;
mod fleet;
mod floor;
mod keys;
mod phones;
mod plan;
mod process;
#[path = "../../tests/support/program.rs"]
mod program;
mod report;
mod server;
mod set_up;
mod sizes;
mod sounds;
mod waiting;

use std::error::Error;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand, ValueEnum};

use plan::Plan;
use process::Machine;
use report::{Report, Section};

/// The most callers that the generator is made for.
const CALLS_MAX: usize = 4000;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn wrong(what: &str) -> Box<dyn Error> {
    what.into()
}

/// What goes on, for whoever waits; standard output is for the figures.
fn progress(what: &str) {
    eprintln!("… {what}");
}

/// Measures what calls cost, beside the floor.
#[derive(Debug, Parser)]
struct Arguments {
    /// Callers in the lobby and in the meeting.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(4..=CALLS_MAX as i64))]
    calls: u16,
    /// Shorter measurements: below one minute.
    #[arg(long)]
    quick: bool,
    /// Of each measurement of calls that go on; longer for a profiler.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: Option<u64>,
    /// Leave the servers' folders with their logs and call records behind.
    #[arg(long)]
    keep: bool,
    /// A setting of the server, such as media.threads=1; may stand several times.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// One JSON document instead of the table.
    #[arg(long)]
    json: bool,
    /// Only this part; may stand several times.
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// What `cargo bench` says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Debug, Subcommand)]
enum Role {
    #[command(name = floor::SUBCOMMAND, hide = true)]
    FloorChild,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The floor without any server. Only where it is asked for: the lobby has its own.
    Floor,
    /// The floor and the lobby.
    Waiting,
    /// The meeting; includes the floor and the lobby.
    Meeting,
    /// Meetings of 4 to all callers; includes the floor and the lobby.
    Sizes,
    /// The last PIN digit to the meeting.
    Starts,
    /// INVITE to 200, and memory.
    SetUp,
    /// How many calls the machine holds: some minutes. Only where it is asked for.
    Capacity,
}

fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    if matches!(arguments.role, Some(Role::FloorChild)) {
        return floor::run();
    }
    let plan = if arguments.quick { Plan::quick } else { Plan::full };
    let mut plan = Plan { keep: arguments.keep, settings: arguments.set.clone(), ..plan(usize::from(arguments.calls)) };
    plan.measure = arguments.seconds.map_or(plan.measure, Duration::from_secs);
    process::raise_open_files()?;
    let machine = Machine::look();
    let begin = Instant::now();

    let mut sections = Vec::new();
    if arguments.only.contains(&Part::Floor) {
        waiting::floor_alone(&plan, &mut sections)?;
    }
    let wanted = |part| arguments.only.is_empty() || arguments.only.contains(&part);
    if let Err(error) = calls_that_go_on(&plan, wanted, &mut sections) {
        sections.push(failed("floor, lobby, meeting, start", error.as_ref()));
    }
    if arguments.only.contains(&Part::Capacity)
        && let Err(error) = waiting::Bridge::new(&plan, CALLS_MAX).and_then(|mut bridge| bridge.capacity(&mut sections))
    {
        sections.push(failed("how many calls the machine holds", error.as_ref()));
    }
    if wanted(Part::SetUp)
        && let Err(error) = set_up::measure(&plan, &mut sections)
    {
        sections.push(failed("call set-up, memory", error.as_ref()));
    }

    let report = Report {
        command: command_line(),
        machine,
        load_1_min_at_end: Machine::look().load_1_min,
        seconds: begin.elapsed().as_secs_f64(),
        sections,
    };
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    if report.sections.iter().any(|section| section.figures.is_empty()) {
        return Err(wrong("not everything could be measured"));
    }
    Ok(())
}

fn calls_that_go_on(plan: &Plan, wanted: impl Fn(Part) -> bool, sections: &mut Vec<Section>) -> Outcome<()> {
    let floors = wanted(Part::Waiting) || wanted(Part::Meeting) || wanted(Part::Sizes);
    if !floors && !wanted(Part::Starts) {
        return Ok(());
    }
    let mut bridge = waiting::Bridge::new(plan, plan.calls)?;
    if floors {
        let floors = bridge.waiting(sections)?;
        if wanted(Part::Meeting) {
            bridge.meeting(&floors, sections)?;
        } else {
            bridge.empty();
        }
        if wanted(Part::Sizes) {
            bridge.sizes(sections)?;
        }
    }
    if wanted(Part::Starts) {
        bridge.starts(sections)?;
    }
    Ok(())
}

fn failed(what: &str, error: &dyn Error) -> Section {
    let mut section = Section::new(format!("NOT MEASURED: {what}"));
    section.note(error.to_string());
    section
}

fn command_line() -> String {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    format!("cargo bench --bench figures -- {}", arguments.join(" ")).trim_end_matches([' ', '-']).to_owned()
}
