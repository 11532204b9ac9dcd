//! WAV files in and out: what callers say, what is listened for, and what each of them heard.

use std::io::Read;
use std::path::Path;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

/// Ten minutes. What a fixture says or listens for is seconds long, hold music a minute or two.
const SAMPLES_MAX: u32 = 10 * 60 * SAMPLE_RATE;

const SAMPLE_RATE: u32 = 8_000;

/// Why a file is of no use here.
#[derive(Debug, thiserror::Error)]
pub enum WavError {
    #[error("{0}")]
    Unreadable(#[from] hound::Error),
    #[error(
        "{channels} channels of {bits} bits at {rate} Hz; mono with 16 bits at 8000 Hz is needed \
         (sox IN -b 16 -c 1 -r 8000 OUT makes it)"
    )]
    Format { channels: u16, bits: u16, rate: u32 },
    #[error("longer than ten minutes")]
    TooLong,
    #[error("empty")]
    Empty,
}

/// The samples of a mono file with 16 bits at 8 kHz.
pub fn read_8khz(path: &Path) -> Result<Vec<i16>, WavError> {
    samples_of(WavReader::open(path)?)
}

/// The same, of a file in memory.
pub fn parse_8khz(file: &[u8]) -> Result<Vec<i16>, WavError> {
    samples_of(WavReader::new(file)?)
}

fn samples_of<R: Read>(reader: WavReader<R>) -> Result<Vec<i16>, WavError> {
    let spec = reader.spec();
    if (spec.channels, spec.bits_per_sample, spec.sample_rate, spec.sample_format)
        != (1, 16, SAMPLE_RATE, SampleFormat::Int)
    {
        return Err(WavError::Format { channels: spec.channels, bits: spec.bits_per_sample, rate: spec.sample_rate });
    }
    match reader.duration() {
        0 => return Err(WavError::Empty),
        samples if samples > SAMPLES_MAX => return Err(WavError::TooLong),
        _ => {}
    }
    Ok(reader.into_samples::<i16>().collect::<Result<Vec<_>, _>>()?)
}

/// Writes a mono file with 16 bits at 8 kHz.
pub fn write_8khz(path: &Path, samples: &[i16]) -> Result<(), WavError> {
    let spec = WavSpec { channels: 1, sample_rate: SAMPLE_RATE, bits_per_sample: 16, sample_format: SampleFormat::Int };
    let mut writer = WavWriter::create(path, spec)?;
    for sample in samples {
        writer.write_sample(*sample)?;
    }
    Ok(writer.finalize()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let path = std::env::temp_dir().join(format!("anteroom-wav-{}.wav", std::process::id()));
        let samples: Vec<i16> = (-200..200).map(|n| n * 150).collect();
        write_8khz(&path, &samples).unwrap();
        assert_eq!(read_8khz(&path).unwrap(), samples);
        assert_eq!(parse_8khz(&std::fs::read(&path).unwrap()).unwrap(), samples);
        write_8khz(&path, &[]).unwrap();
        assert!(matches!(read_8khz(&path), Err(WavError::Empty)));
        std::fs::write(&path, b"RIFF?").unwrap();
        assert!(matches!(read_8khz(&path), Err(WavError::Unreadable(_))));
        let spec = WavSpec { channels: 2, sample_rate: 44_100, bits_per_sample: 16, sample_format: SampleFormat::Int };
        WavWriter::create(&path, spec).unwrap().finalize().unwrap();
        assert!(read_8khz(&path).unwrap_err().to_string().contains("8000 Hz"));
        std::fs::remove_file(&path).unwrap();
    }
}
