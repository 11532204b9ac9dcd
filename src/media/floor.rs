//! Who has the floor: of all who speak in a meeting, the loudest few are heard.
//!
//! ```text
//!   a place is free:     whoever speaks is heard from his first frame on
//!   none is free:        who speaks up waits until somebody is silent, or until he is twice as loud as the softest of those
//!                        who are heard
//!   who stops speaking:  leaves his place, and the last of his voice dies away within 5 ms
//! ```
//!
//! Many open microphones are noise for everybody, and each costs a decoding and an addition. Levels are those after level
//! control ([`super::loudness`]): who has a soft telephone is not passed over. A level falls slowly, so that between two
//! words nobody loses his place.

use super::mixer::{LastSample, Mixer};

/// The most that can be set. More voices at once nobody can follow.
pub const TALKERS_MAX: usize = 16;

/// A place is taken from somebody who still speaks by who is so much louder (6 dB).
const LOUDER_BY: f32 = 2.0;

/// And not before he had it for so many frames: half a second. A floor that changes hands faster is a stutter.
const KEPT_FRAMES: u32 = 25;

/// The places of one meeting.
#[derive(Debug)]
pub struct Floor {
    /// The first `talkers` of them count.
    places: [Option<Place>; TALKERS_MAX],
    talkers: usize,
    /// Who wants a place in this tick and has none: the loudest, loudest first.
    asking: [Option<(usize, f32)>; TALKERS_MAX],
}

#[derive(Debug, Clone, Copy)]
struct Place {
    slot: usize,
    level: f32,
    frames: u32,
    speaks: bool,
    /// The last sample that was heard of him.
    last: LastSample,
}

impl Floor {
    pub fn new(talkers: usize) -> Floor {
        let talkers = talkers.clamp(1, TALKERS_MAX);
        Floor { places: [None; TALKERS_MAX], talkers, asking: [None; TALKERS_MAX] }
    }

    /// The leg in this slot speaks, this loud.
    pub fn ask(&mut self, slot: usize, level: f32) {
        if let Some(place) = self.places.iter_mut().flatten().find(|place| place.slot == slot) {
            place.level = level;
            place.speaks = true;
            return;
        }
        let mut asking = Some((slot, level));
        for waiting in &mut self.asking {
            if waiting.is_none_or(|(_, other)| asking.is_some_and(|(_, level)| level > other)) {
                std::mem::swap(waiting, &mut asking);
            }
            if asking.is_none() {
                break;
            }
        }
    }

    /// Everybody has asked: gives the places of this frame. Who has lost his dies away in `mixer`.
    pub fn settle(&mut self, mixer: &mut Mixer) {
        let Floor { places, talkers, asking } = self;
        let places = places.get_mut(..*talkers).unwrap_or_default();
        for place in places.iter_mut() {
            if let Some(silent) = place.take_if(|place| !place.speaks) {
                mixer.add_tail(silent.last);
            }
        }
        for (slot, level) in asking.iter_mut().map_while(Option::take) {
            let newcomer = Place { slot, level, frames: 0, speaks: true, last: LastSample::default() };
            if let Some(free) = places.iter_mut().find(|place| place.is_none()) {
                *free = Some(newcomer);
                continue;
            }
            let softest = places
                .iter_mut()
                .flatten()
                .filter(|place| place.frames >= KEPT_FRAMES)
                .min_by(|a, b| a.level.total_cmp(&b.level));
            if let Some(softest) = softest.filter(|softest| level > softest.level * LOUDER_BY) {
                mixer.add_tail(softest.last);
                *softest = newcomer;
            }
        }
        asking.fill(None);
        for place in places.iter_mut().flatten() {
            place.frames = place.frames.saturating_add(1);
            place.speaks = false;
        }
    }

    /// The slots that are heard in this frame. `voice` puts a leg into the mix, and says what its last sample was.
    pub fn for_each(&mut self, mut voice: impl FnMut(usize) -> LastSample) {
        for place in self.places.iter_mut().flatten() {
            place.last = voice(place.slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One tick: who speaks how loud, and who is heard.
    fn tick(floor: &mut Floor, speak: &[(usize, f32)]) -> Vec<usize> {
        for &(slot, level) in speak {
            floor.ask(slot, level);
        }
        floor.settle(&mut Mixer::default());
        let mut heard = Vec::new();
        floor.for_each(|slot| {
            heard.push(slot);
            LastSample::default()
        });
        heard.sort();
        heard
    }

    #[test]
    fn while_there_is_room_everybody_is_heard_from_his_first_frame_on() {
        let mut floor = Floor::new(3);
        assert_eq!(tick(&mut floor, &[(7, 10.0)]), [7]);
        assert_eq!(tick(&mut floor, &[(7, 10.0), (2, 1.0), (5, 4000.0)]), [2, 5, 7]);
        assert_eq!(tick(&mut floor, &[(2, 1.0)]), [2]);
        assert_eq!(tick(&mut floor, &[]), [0usize; 0]);
    }

    #[test]
    fn of_many_who_begin_at_once_the_loudest_are_heard() {
        let mut floor = Floor::new(2);
        let all: Vec<(usize, f32)> = (0..40).map(|slot| (slot, ((slot * 7) % 40) as f32)).collect();
        assert_eq!(tick(&mut floor, &all), [17, 34]);
    }

    #[test]
    fn a_place_is_kept_against_who_is_hardly_louder_and_yields_to_who_is_twice_as_loud() {
        let mut floor = Floor::new(2);
        tick(&mut floor, &[(0, 1000.0), (1, 900.0)]);
        for _ in 0..200 {
            assert_eq!(tick(&mut floor, &[(0, 1000.0), (1, 900.0), (2, 1700.0)]), [0, 1]);
        }
        assert_eq!(tick(&mut floor, &[(0, 1000.0), (1, 900.0), (2, 1900.0)]), [0, 2]);
        // Nobody is thrown out in his first half second.
        for _ in 0..KEPT_FRAMES - 1 {
            assert_eq!(tick(&mut floor, &[(0, 20_000.0), (2, 1900.0), (1, 30_000.0)]), [0, 2]);
        }
        assert_eq!(tick(&mut floor, &[(0, 20_000.0), (2, 1900.0), (1, 30_000.0)]), [0, 1]);
        // Who is silent makes room at once.
        assert_eq!(tick(&mut floor, &[(1, 30_000.0), (2, 1.0)]), [1, 2]);
    }
}
