//! Stories written as data: who does what when, and what came of it. `tests/stories/*.story`:
//!
//! ```text
//! leader leaves: back to lobby          (goes on, ends after N s)
//! rule: anonymous start                 (admission needed)
//! 0.0 ben dials
//! 1.0 ben enters 1234567#
//! ---
//! …what is told of it, as the test writes it with STORIES=write
//! ```

use super::plan::{Action, ConferencePlan, DEFAULT_BUDGETS, Keys, LeaderLeaves, PhonePlan, Plan, SettingsPlan, Step};
use super::sounds::VOICES_HZ;

pub struct Story {
    pub plan: Plan,
    pub names: Vec<String>,
    /// The part above the line.
    pub told: String,
    pub expected: String,
}

/// A plan in which nothing is left to chance: clear lines, short prompts, two media threads.
pub fn quiet_plan(leader_leaves: LeaderLeaves) -> Plan {
    let settings = SettingsPlan {
        planes: 2,
        port_pairs: 16,
        calls: 100,
        seats: 100,
        lobby_timeout_s: 3600,
        patience_s: 60,
        nobody_authenticated_s: 5400,
        nobody_came_s: 900,
        leader_leaves,
        media_silent_s: 30,
        prompt_ms: 200,
        thread_room: 4096,
        budgets: DEFAULT_BUDGETS,
    };
    let conference = ConferencePlan {
        id: "1234567".into(),
        pin: "86420".into(),
        anonymous_start: false,
        admission_needed: false,
        tones: false,
    };
    Plan { seed: 0, settings, conferences: vec![conference], phones: Vec::new(), steps: Vec::new(), end_ms: 0 }
}

impl Plan {
    /// One more telephone, with no habits.
    pub fn add_phone(&mut self) -> usize {
        let phase_us = 1_000 * self.phones.len() as u64;
        self.phones.push(PhonePlan {
            keys: Keys::Events,
            a_law: false,
            tcp: false,
            offers: true,
            session_timer: false,
            translated: false,
            no_ack: false,
            asserted: None,
            phase_us,
            suppresses_silence: false,
        });
        self.phones.len() - 1
    }

    /// Keys at the speed of a practised hand; returns when the last one is up.
    pub fn enter(&mut self, at_ms: u64, phone: usize, keys: &str) -> u64 {
        for (number, key) in keys.chars().enumerate() {
            let at_ms = at_ms + 200 * number as u64;
            self.steps.push(Step { at_ms, phone, action: Action::Press { key, hold_ms: 80 } });
        }
        at_ms + 200 * keys.len() as u64
    }
}

impl Story {
    pub fn parse(text: &str) -> Story {
        let (told, expected) = text.split_once("---\n").unwrap_or((text, ""));
        let mut plan = quiet_plan(LeaderLeaves::GoesOn);
        let mut names: Vec<String> = Vec::new();
        for line in told.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(what) = line.strip_prefix("leader leaves: ") {
                plan.settings.leader_leaves = match what.split(' ').collect::<Vec<_>>()[..] {
                    ["goes", "on"] => LeaderLeaves::GoesOn,
                    ["back", "to", "lobby"] => LeaderLeaves::BackToLobby,
                    ["ends", "after", s, "s"] => LeaderLeaves::EndsAfterS(s.parse().expect("seconds")),
                    _ => panic!("{line}"),
                };
                continue;
            }
            match line {
                "rule: anonymous start" => plan.conferences[0].anonymous_start = true,
                "rule: admission needed" => plan.conferences[0].admission_needed = true,
                line => plan.read_step(line, &mut names),
            }
        }
        plan.end_ms = plan.steps.iter().map(|step| step.at_ms).max().unwrap_or(0) + 3_000;
        plan.steps.sort_by_key(|step| step.at_ms);
        Story { plan, names, told: told.to_owned(), expected: expected.to_owned() }
    }

    /// A run's transcript without SIP, keys and statistics, with the names of the story.
    pub fn tell(&self, transcript: &str) -> String {
        const LEFT_OUT: [&str; 11] = [
            "──►",
            "◄──",
            " pressed ",
            "Press {",
            "VoiceFrom",
            "Answered {",
            "Established",
            " ended: ",
            "Talking(",
            " is call-",
            "ConferenceFound",
        ];
        let mut calls: Vec<(String, String)> = Vec::new();
        let mut told = String::new();
        for line in transcript.lines() {
            let (at, what) = line.split_at(12.min(line.len()));
            if let Some((call, rest)) = what.split_once(" is call-1-of-") {
                let phone: usize = rest.split(' ').next().unwrap().parse().unwrap();
                calls.push((format!("{call} "), format!("{} ", self.names[phone])));
            }
            if LEFT_OUT.iter().any(|left_out| line.contains(left_out)) {
                continue;
            }
            let mut what = what.to_owned();
            for (call, name) in calls.iter().rev() {
                what = what.replace(call, name);
            }
            for (number, name) in self.names.iter().enumerate() {
                what = what.replace(&format!("phone {number} "), &format!("{name}: "));
            }
            if let Some((who, bits)) = what.split_once(" hears voices ") {
                let bits = u32::from_str_radix(bits, 2).unwrap();
                let voices: Vec<&str> = (0..VOICES_HZ.len())
                    .filter(|voice| bits & 1 << voice != 0)
                    .map(|voice| self.names[voice].as_str())
                    .collect();
                let voices = if voices.is_empty() { "a fade".to_owned() } else { voices.join(" and ") };
                what = format!("{who} hears {voices}");
            }
            told += &format!("{}  {what}\n", at.trim_end());
        }
        told
    }
}

impl Plan {
    fn read_step(&mut self, line: &str, names: &mut Vec<String>) {
        let words: Vec<&str> = line.split(' ').collect();
        let [at, who, what, ..] = words[..] else { panic!("{line}: TIME WHO WHAT") };
        let at_ms = (at.parse::<f64>().expect("seconds") * 1_000.0) as u64;
        let phone = names.iter().position(|name| name == who).unwrap_or_else(|| {
            names.push(who.to_owned());
            self.add_phone()
        });
        let action = match (what, words.get(3)) {
            ("dials", None) => Action::Dial,
            ("talks", None) => Action::Talk,
            ("hushes", None) => Action::Hush,
            ("leaves", None) => Action::HangUp,
            ("vanishes", None) => Action::Vanish,
            ("enters", Some(keys)) => {
                self.enter(at_ms, phone, keys);
                return;
            }
            ("starts", None) => Action::Start { conference: 0 },
            ("admits", None) => Action::AdmitAll { conference: 0 },
            ("ends", None) => Action::End { conference: 0 },
            _ => panic!("{line}: nobody knows how"),
        };
        self.steps.push(Step { at_ms, phone, action });
    }
}
