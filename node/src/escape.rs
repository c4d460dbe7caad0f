//! What Prometheus's text formats want escaped, for both pages of metrics.

/// A label's value, for between its quotes.
pub(crate) fn escape_value(text: &mut String, value: &str) {
    let mut rest = value;
    while let Some(at) = rest.find(['\\', '"', '\n']) {
        text.push_str(&rest[..at]);
        text.push_str(match rest.as_bytes()[at] {
            b'\\' => r"\\",
            b'"' => r#"\""#,
            _ => r"\n",
        });
        rest = &rest[at + 1..];
    }
    text.push_str(rest);
}

/// A `# HELP` text.
pub(crate) fn escape_help(text: &mut String, help: &str) {
    text.push_str(&help.replace('\\', r"\\").replace('\n', r"\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_would_end_a_value_or_a_line_is_escaped() {
        for (value, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("a\nb", r"a\nb"),
            (r#"C:\new "x""#, r#"C:\\new \"x\""#),
            ("\"\"\\", r#"\"\"\\"#),
            ("größe\t\r€", "größe\t\r€"),
        ] {
            let mut text = String::new();
            escape_value(&mut text, value);
            assert_eq!(text, expected);
        }
    }
}
