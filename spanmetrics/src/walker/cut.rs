//! Texts that tell groups apart, cut to a limit.

/// Some clients put a whole statement into a name.
const MAX_TEXT_BYTES: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Cut {
    /// Whether a text was longer.
    pub(super) any: bool,
}

impl Cut {
    pub(super) fn limited(&mut self, mut text: String) -> String {
        if text.len() > MAX_TEXT_BYTES {
            self.any = true;
            let mut end = MAX_TEXT_BYTES;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
        }
        text
    }
}
