//! One column of integers as bytes.
//!
//! | tag | means | what follows |
//! |---|---|---|
//! | 0 | zero throughout | nothing |
//! | 1 | one value throughout | the value |
//! | 2 | packed: what is above the least, in bits of one width | the least, the width, the bits |
//! | 3, 4, 5 | pco of 16, 32 or 64 bits, its own header before it | its length, its bytes |
//!
//! Few rows are packed: pco's tables would be longer than what they save, or take long for rows that are soon added to
//! others (decision 0011).

use std::cell::RefCell;

use pco::data_types::Number;
use pco::errors::PcoResult;
use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DecompressorScratch};
use tributary_spanmetrics::codec::{DecodeError, Reader, Writer};

use super::bits;

/// From here on rows are near their full length, and pco is worth its time.
pub(super) const PCO_ROWS: usize = 512;
/// What decision 0011 measured.
const PCO_LEVEL: usize = 8;

const ZERO: u8 = 0;
const SAME: u8 = 1;
const PACKED: u8 = 2;
const PCO_16: u8 = 3;
const PCO_32: u8 = 4;
const PCO_64: u8 = 5;

pub(super) fn write(values: &[u64], w: &mut Writer) {
    let (least, most) = values.iter().fold((u64::MAX, 0), |(a, b), &v| (a.min(v), b.max(v)));
    if most == 0 {
        return w.u8(ZERO);
    }
    if least == most {
        w.u8(SAME);
        return w.varint_u64(least);
    }
    let width = u64::BITS - (most - least).leading_zeros();
    let packed = bits::bytes(values.len(), width);
    if values.len() >= PCO_ROWS {
        let (tag, bytes) = match most {
            0..0x1_0000 => (PCO_16, compressed::<u16>(values, |v| v as u16)),
            0x1_0000..0x1_0000_0000 => (PCO_32, compressed::<u32>(values, |v| v as u32)),
            _ => (PCO_64, compressed::<u64>(values, |v| v)),
        };
        if bytes.len() < packed {
            w.u8(tag);
            return w.bytes(&bytes);
        }
    }
    w.u8(PACKED);
    w.varint_u64(least);
    w.u8(width as u8);
    w.raw(&bits::pack(values, least, width));
}

/// Empty where it is zero throughout.
pub(super) fn read(r: &mut Reader<'_>, rows: usize) -> Result<Vec<u64>, DecodeError> {
    match r.u8()? {
        ZERO => Ok(Vec::new()),
        SAME => Ok(vec![r.varint()?; rows]),
        PACKED => {
            let least = r.varint()?;
            let width = u32::from(r.u8()?);
            if width > u64::BITS {
                return Err(DecodeError::Bad("column: width"));
            }
            let packed = r.raw(bits::bytes(rows, width))?;
            Ok(bits::unpack(packed, rows, least, width))
        }
        PCO_16 => plain::<u16>(r.bytes()?, rows),
        PCO_32 => plain::<u32>(r.bytes()?, rows),
        PCO_64 => plain::<u64>(r.bytes()?, rows),
        _ => Err(DecodeError::Bad("column")),
    }
}

fn compressed<T: Number>(values: &[u64], narrow: impl Fn(u64) -> T) -> Vec<u8> {
    let values: Vec<T> = values.iter().map(|value| narrow(*value)).collect();
    let config = ChunkConfig::default().with_compression_level(PCO_LEVEL);
    let write = || -> PcoResult<Vec<u8>> {
        let file = FileCompressor::default();
        let mut chunk = file.chunk_compressor(&values, &config)?;
        let out = file.write_header(Vec::with_capacity(chunk.meta_size_hint() + values.len()))?;
        chunk.write_page(0, chunk.write_meta(out)?)
    };
    write().expect("a level and a length that pco takes, written to memory")
}

fn plain<T: Number + Default + Into<u64>>(
    bytes: &[u8],
    rows: usize,
) -> Result<Vec<u64>, DecodeError> {
    thread_local! {
        static SCRATCH: RefCell<DecompressorScratch> = RefCell::default();
    }
    let mut values = vec![T::default(); rows];
    let mut read = |scratch: &mut DecompressorScratch| -> PcoResult<bool> {
        let (file, rest) = FileDecompressor::new(bytes)?;
        let (chunk, rest) = file.chunk_decompressor::<T, _>(rest)?;
        let mut page = chunk.page_decompressor_with_scratch(rest, rows, scratch)?;
        let progress = page.read(&mut values)?;
        Ok(progress.finished && progress.n_processed == rows && page.into_src().is_empty())
    };
    match SCRATCH.with_borrow_mut(&mut read) {
        Ok(true) => Ok(values.into_iter().map(Into::into).collect()),
        _ => Err(DecodeError::Bad("column: pco")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn column() -> impl Strategy<Value = Vec<u64>> {
        let most = prop_oneof![Just(0), Just(1), Just(300), Just(1 << 20), Just(u64::MAX)];
        let few = most.prop_flat_map(|most| vec(0..=most, 1..40));
        let many = (0..5u64, any::<u64>()).prop_map(|(bytes, least)| {
            let most = (1u64 << (bytes * 15)).saturating_sub(1);
            (0..PCO_ROWS as u64 + 9).map(|at| (least & most) / 2 + at * at % 7).collect()
        });
        prop_oneof![4 => few, 1 => many]
    }

    fn written(values: &[u64]) -> Vec<u8> {
        let mut w = Writer::new();
        write(values, &mut w);
        w.into_bytes()
    }

    proptest! {
        #[test]
        fn columns_round_trip(values in column()) {
            let bytes = written(&values);
            let mut r = Reader::new(&bytes);
            let mut read = read(&mut r, values.len()).expect("its own");
            prop_assert_eq!(r.finish(), Ok(()));
            read.resize(values.len(), 0);
            prop_assert_eq!(read, values);
        }

        #[test]
        fn other_bytes_are_refused_or_read(bytes in vec(any::<u8>(), 0..60), rows in 1..600usize) {
            if let Ok(values) = read(&mut Reader::new(&bytes), rows) {
                prop_assert!(values.is_empty() || values.len() == rows);
            }
        }
    }

    #[test]
    fn each_has_the_form_that_takes_least() {
        let tag = |values: &[u64]| written(values)[0];
        assert_eq!(tag(&[0, 0]), ZERO);
        assert_eq!(written(&[7; 2880]), [SAME, 7]);
        assert_eq!(written(&[1000, 1001, 1003]), [PACKED, 0xe8, 7, 2, 0b11_01_00]);
        let many = |most: u64| -> Vec<u64> { (0..2880).map(|at| at * at % 7 * most / 7).collect() };
        assert_eq!(tag(&many(100)), PCO_16);
        assert_eq!(tag(&many(1 << 20)), PCO_32);
        assert_eq!(tag(&many(1 << 40)), PCO_64);
    }
}
