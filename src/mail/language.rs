//! The names of languages, for people who read a list of numbers.

/// `German` of `de` and `de-AT`. What is not in the table is shown as it was written.
pub fn name(code: &str) -> &str {
    let code = code.trim();
    let primary = code.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    let found = NAMES.iter().find(|(known, _)| *known == primary);
    found.map_or(code, |(_, name)| name)
}

/// ISO 639-1 codes of languages in which telephone numbers are commonly offered.
const NAMES: [(&str, &str); 36] = [
    ("ar", "Arabic"),
    ("bg", "Bulgarian"),
    ("ca", "Catalan"),
    ("cs", "Czech"),
    ("da", "Danish"),
    ("de", "German"),
    ("el", "Greek"),
    ("en", "English"),
    ("es", "Spanish"),
    ("et", "Estonian"),
    ("fi", "Finnish"),
    ("fr", "French"),
    ("he", "Hebrew"),
    ("hi", "Hindi"),
    ("hr", "Croatian"),
    ("hu", "Hungarian"),
    ("id", "Indonesian"),
    ("it", "Italian"),
    ("ja", "Japanese"),
    ("ko", "Korean"),
    ("lt", "Lithuanian"),
    ("lv", "Latvian"),
    ("ms", "Malay"),
    ("nb", "Norwegian"),
    ("nl", "Dutch"),
    ("pl", "Polish"),
    ("pt", "Portuguese"),
    ("ro", "Romanian"),
    ("ru", "Russian"),
    ("sk", "Slovak"),
    ("sl", "Slovenian"),
    ("sv", "Swedish"),
    ("th", "Thai"),
    ("tr", "Turkish"),
    ("uk", "Ukrainian"),
    ("zh", "Chinese"),
];

#[cfg(test)]
mod tests {
    #[test]
    fn known_codes_have_names_and_others_stay_as_written() {
        assert_eq!(super::name("de"), "German");
        assert_eq!(super::name("de-AT"), "German");
        assert_eq!(super::name("Schwyzerdütsch"), "Schwyzerdütsch");
        assert_eq!(super::name(""), "");
    }
}
