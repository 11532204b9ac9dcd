//! Calls that come and go: how soon they are answered, what they cost, and whether they leave memory behind.

use std::time::{Duration, Instant};

use super::callers::Callers;
use super::clock::milliseconds;
use super::phones::Intent;
use super::plan::Plan;
use super::report::{Goal, Section};
use super::server::Server;
use super::{Outcome, progress};

/// Callers at once: at 500 calls a second a server may take 2 s for one.
const CALLERS: usize = 1000;

/// Octets by which a call may let the memory grow: 6 MiB in 100,000 calls, which is what an allocator's fragments make.
const GROWTH_MAX: f64 = 64.0;

/// For the answers that are still to come.
const TAIL: Duration = Duration::from_secs(2);

const IDLE: Duration = Duration::from_secs(2);

/// What some seconds of short calls gave.
struct ShortCalls {
    answered: usize,
    failed: usize,
    /// INVITE → 200, sorted.
    set_ups: Vec<Duration>,
    seconds: f64,
    /// Of the server, for one call.
    cpu_ms: f64,
    generator_cpu_ms: f64,
}

pub fn measure(plan: &Plan, sections: &mut Vec<Section>) -> Outcome<()> {
    let server = Server::start("set-up", CALLERS + 16, plan)?;
    let mut callers = Callers::new(CALLERS, server.sip, 2)?;
    sections.push(idle(&server, &mut callers)?);
    for rate in &plan.rates {
        progress(&format!("{rate} calls a second"));
        let count = (rate * plan.set_up.as_secs_f64()) as usize;
        let calls = short_calls(&server, &mut callers, *rate, count)?;
        let mut section = Section::new(format!("Call set-up: {rate} calls a second (INVITE, 200, ACK, BYE)"));
        section.set_ups(&calls, *rate >= 300.0);
        sections.push(section);
    }

    sections.push(memory(plan, &server, &mut callers)?);
    Ok(())
}

/// Whether short calls leave memory behind.
fn memory(plan: &Plan, server: &Server, callers: &mut Callers) -> Outcome<Section> {
    let process = server.process()?;
    let (rate, count) = (plan.short_calls_rate, plan.short_calls);
    let mut section = Section::new(format!("Memory: {count} short calls, {rate} a second"));
    if plan.remembered.is_zero() {
        section.note("what SIP must remember of a call for 32 s (64·T1) is in it");
    } else {
        section.figure("resident before", process.resident_kib()?, "KiB", None);
        let first = (rate * plan.remembered.as_secs_f64()) as usize;
        progress(&format!("{first} short calls, {rate} a second, until SIP forgets as many as come"));
        short_calls(server, callers, rate, first)?;
    }
    progress(&format!("{count} short calls, {rate} a second"));
    let before_kib = process.resident_kib()?;
    let calls = short_calls(server, callers, rate, count)?;
    let after_kib = process.resident_kib()?;
    let what = if plan.remembered.is_zero() { "before" } else { "when SIP forgets as many calls as come (64·T1)" };
    section.figure(format!("resident {what}"), before_kib, "KiB", None);
    section.figure(format!("resident after {count} more calls"), after_kib, "KiB", None);
    let grown = 1024.0 * (after_kib - before_kib) / calls.answered.max(1) as f64;
    let goal = (!plan.remembered.is_zero()).then_some(Goal::AtMost(GROWTH_MAX));
    section.figure("grown by each call", grown, "octets", goal);
    section.set_ups(&calls, false);
    Ok(section)
}

/// What the server costs while nobody calls.
fn idle(server: &Server, callers: &mut Callers) -> Outcome<Section> {
    let process = server.process()?;
    let (begin, cpu) = (Instant::now(), process.cpu_time()?);
    callers.run_for(IDLE);
    let cpu_ms = (process.cpu_time()? - cpu).as_secs_f64() * 1e3 / begin.elapsed().as_secs_f64();
    let mut section = Section::new("The server, idle");
    section.figure("CPU", cpu_ms, "ms/s", None);
    section.figure("resident memory", process.resident_kib()?, "KiB", None);
    Ok(section)
}

/// So many calls at that rate, each hung up as soon as it is answered.
fn short_calls(server: &Server, callers: &mut Callers, rate: f64, count: usize) -> Outcome<ShortCalls> {
    let (process, own) = (server.process()?, super::process::Process::own()?);
    callers.phones.take_set_ups();
    callers.phones.failures.clear();
    let (begin, cpu, own_cpu) = (Instant::now(), process.cpu_time()?, own.cpu_time()?);
    let (mut placed, mut first_error) = (0, None);
    let limit = Duration::from_secs_f64(2.0 * count as f64 / rate) + TAIL;
    callers.run_until(limit, |all| {
        let due = (begin.elapsed().as_secs_f64() * rate) as usize;
        while placed < due.min(count) && first_error.is_none() {
            // Nobody free: the server is far behind, and the call is made as soon as somebody is.
            let Some(caller) = all.phones.find_idle() else { break };
            first_error = all.phones.call(&mut all.fleet, caller, Intent::HangUp).err();
            placed += 1;
        }
        placed == count || first_error.is_some()
    });
    let seconds = begin.elapsed().as_secs_f64();
    callers.run_until(TAIL, |all| all.phones.in_calls() == 0);
    callers.run_for(Duration::from_millis(200));
    if let Some(error) = first_error {
        return Err(error);
    }
    let spent = |now: Duration, before: Duration| (now - before).as_secs_f64() * 1e3 / placed.max(1) as f64;
    let (cpu_ms, generator_cpu_ms) = (spent(process.cpu_time()?, cpu), spent(own.cpu_time()?, own_cpu));
    let mut set_ups = callers.phones.take_set_ups();
    set_ups.sort();
    let answered = set_ups.len();
    let failed = count - answered;
    Ok(ShortCalls { answered, failed, set_ups, seconds, cpu_ms, generator_cpu_ms })
}

impl Section {
    fn set_ups(&mut self, calls: &ShortCalls, has_goal: bool) {
        let goal = |goal| has_goal.then_some(goal);
        let at = |share: f64| {
            let place = (calls.answered as f64 * share) as usize;
            calls.set_ups.get(place.min(calls.answered.saturating_sub(1))).copied().map_or(f64::NAN, milliseconds)
        };
        self.figure("calls made a second", (calls.answered + calls.failed) as f64 / calls.seconds, "/s", None);
        self.figure("calls not answered", calls.failed as f64, "", Some(Goal::AtMost(0.0)));
        self.figure("INVITE → 200, median", at(0.5), "ms", None);
        self.figure("INVITE → 200, 99th percentile", at(0.99), "ms", goal(Goal::AtMost(10.0)));
        self.figure("INVITE → 200, longest", at(1.0), "ms", None);
        self.figure("CPU of one call", calls.cpu_ms, "ms", goal(Goal::AtMost(0.3)));
        self.figure("the generator itself", calls.generator_cpu_ms, "ms", None);
    }
}
