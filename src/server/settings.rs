//! From the configuration, whose words are the operator's, to the settings of the cores.

use std::sync::Arc;

use crate::config::{Config, LeaderLeaves};
use crate::engine::EngineSettings;
use crate::net::audio::AudioSettings;
use crate::net::media_thread::MediaThreadsSettings;
use crate::{attendant, media, meeting, sip};

/// What the engine and its cores are told once.
pub fn engine_settings(config: &Config) -> EngineSettings {
    let defaults = EngineSettings::default();
    EngineSettings {
        sip: sip::EndpointConfig {
            trunks: config.sip.trunk_table(),
            // A session that waits for its ports or its last ACK is no call any more, or none yet.
            max_sessions: config.limits.calls.saturating_add(config.limits.calls / 4).saturating_add(16),
            server_header: config.sip.server_header.clone(),
            strangers: config.sip.strangers,
            calls_per_second: Some(config.limits.calls_per_second),
            advertise: config.sip.advertise.clone(),
            session_expires: config.sip.session_expires,
            codecs: config.sip.codecs.clone(),
            ..sip::EndpointConfig::default()
        },
        attendant: Arc::new(attendant_settings(config)),
        meeting: Arc::new(meeting_settings(config)),
        calls: config.limits.calls.min(config.rtp.port_pairs()),
        rtp_address: config.rtp.address,
        rtp_advertise: config.rtp.advertise.clone(),
        ..defaults
    }
}

fn attendant_settings(config: &Config) -> attendant::Settings {
    let of = &config.attendant;
    attendant::Settings {
        conference_id_tries: of.conference_id_tries,
        pin_tries: of.pin_tries,
        between_digits: of.between_digits,
        swallow_pound: of.pound_grace,
        silence: of.prompt_repeat,
        organizer_question: of.organizer_question,
        give_up_after: of.store_patience,
        ..attendant::Settings::default()
    }
}

fn meeting_settings(config: &Config) -> meeting::Settings {
    let of = &config.meeting;
    meeting::Settings {
        seats: config.limits.meeting_participants,
        lobby_timeout: of.lobby_timeout,
        patience: of.patience,
        nobody_authenticated: of.unattended_end,
        nobody_came: meeting::Settings::default().nobody_came,
        leader_leaves: match of.leader_leaves {
            LeaderLeaves::GoesOn => meeting::LeaderLeaves::GoesOn,
            LeaderLeaves::BackToLobby => meeting::LeaderLeaves::BackToLobby,
            LeaderLeaves::End => meeting::LeaderLeaves::EndsAfter(of.leader_grace),
        },
    }
}

/// Where the sounds come from.
pub fn audio_settings(config: &Config) -> AudioSettings {
    let of = &config.audio;
    AudioSettings { prompts: of.prompts.clone(), hold_music: of.hold.clone(), tones: of.tones.clone() }
}

/// What the media threads are told once.
pub fn media_settings(config: &Config) -> MediaThreadsSettings {
    MediaThreadsSettings {
        threads: config.media.threads,
        ports: config.rtp.ports.clone(),
        plane: media::PlaneSettings { media_silent_after: config.media.silence, talkers: config.media.talkers },
    }
}
