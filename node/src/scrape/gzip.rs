//! A body that is compressed while it is written.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Holds gzip's own window and little else: what comes in goes out as soon as there is a block of it.
pub(super) struct Squeezed(GzEncoder<Vec<u8>>);

impl Squeezed {
    pub(super) fn new() -> Self {
        // Lines of one family are so much alike that more effort finds little more.
        Squeezed(GzEncoder::new(Vec::new(), Compression::fast()))
    }

    /// What is to be sent by now, maybe nothing.
    pub(super) fn write(&mut self, text: &[u8]) -> io::Result<Bytes> {
        self.0.write_all(text)?;
        Ok(std::mem::take(self.0.get_mut()).into())
    }

    pub(super) fn end(self) -> io::Result<Bytes> {
        Ok(self.0.finish()?.into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_goes_in_in_parts_comes_out_whole() {
        let mut squeezed = Squeezed::new();
        let (mut sent, mut written) = (Vec::new(), String::new());
        for n in 0..2000 {
            let line = format!("calls_total{{span_name=\"op {n}\"}} {n}\n").repeat(10);
            sent.extend(squeezed.write(line.as_bytes()).expect("memory takes all"));
            written.push_str(&line);
        }
        assert!(!sent.is_empty(), "not all is kept until the end");
        sent.extend(squeezed.end().expect("memory takes all"));
        let mut read = String::new();
        flate2::read::GzDecoder::new(&sent[..]).read_to_string(&mut read).expect("is gzip");
        assert_eq!(read, written);
        assert!(sent.len() < written.len() / 10, "{} of {}", sent.len(), written.len());
    }
}
