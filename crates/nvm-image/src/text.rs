//! Images as text for programming tools: Intel HEX and Motorola S-records.

use crate::Error;
use ihex::Record as HexRecord;
use srec::{Address32, Count16, Data, Record as SRecord};
use zeroize::Zeroizing;

/// Bytes in a record.
const ROW: usize = 32;
/// The largest area that a text may cover, in bytes.
const MAX_LENGTH: u64 = 0x1000_0000;

/// Which notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notation {
    /// Intel HEX with extended linear addresses.
    IntelHex,
    /// Motorola S-records with 32-bit addresses (S3, S7).
    SRecord,
}

/// The rows of an image that are written: all, or those that are not entirely erased.
fn rows(image: &[u8], base: u32, skip: Option<u8>) -> Result<Vec<(u32, &[u8])>, Error> {
    let beyond =
        || Error::Text(format!("an image of {} bytes from {base:#x} on ends beyond 4 GiB", image.len()));
    let length = u32::try_from(image.len()).map_err(|_| beyond())?;
    if length > 0 {
        base.checked_add(length.saturating_sub(1)).ok_or_else(beyond)?;
    }
    let mut address = base;
    let mut rows = Vec::new();
    let mut rest = image;
    while !rest.is_empty() {
        // A row never crosses an address whose low 16 bits are 0, where Intel HEX needs another record.
        let to_border = usize::try_from(0x1_0000_u32.saturating_sub(address & 0xFFFF)).unwrap_or(ROW);
        let (row, behind) = rest.split_at_checked(ROW.min(to_border).min(rest.len())).unwrap_or((rest, &[]));
        if skip.is_none_or(|erased| row.iter().any(|&byte| byte != erased)) {
            rows.push((address, row));
        }
        address = address.wrapping_add(u32::try_from(row.len()).unwrap_or(0));
        rest = behind;
    }
    Ok(rows)
}

/// The image as text. It begins at address `base`. With `skip`, rows of that byte only are left out: a programming
/// tool that has erased the flash needs none of them.
///
/// # Errors
/// [`Error::Text`] if the image does not end below 4 GiB.
pub fn write(
    notation: Notation,
    image: &[u8],
    base: u32,
    skip: Option<u8>,
) -> Result<Zeroizing<String>, Error> {
    let rows = rows(image, base, skip)?;
    match notation {
        Notation::IntelHex => {
            let mut records = Vec::new();
            let mut upper = 0;
            for (address, row) in rows {
                let [a, b, c, d] = address.to_be_bytes();
                let high = u16::from_be_bytes([a, b]);
                if high != upper {
                    records.push(HexRecord::ExtendedLinearAddress(high));
                    upper = high;
                }
                records.push(HexRecord::Data { offset: u16::from_be_bytes([c, d]), value: row.to_vec() });
            }
            records.push(HexRecord::EndOfFile);
            let text = ihex::create_object_file_representation(&records);
            text.map(Zeroizing::new).map_err(|error| Error::Text(error.to_string()))
        }
        Notation::SRecord => {
            let count = rows.len();
            let mut records: Vec<_> = rows
                .into_iter()
                .map(|(address, row)| SRecord::S3(Data { address: Address32(address), data: row.to_vec() }))
                .collect();
            records.insert(0, SRecord::S0("casemate".to_owned()));
            if let Ok(count) = u16::try_from(count) {
                records.push(SRecord::S5(Count16(count)));
            }
            records.push(SRecord::S7(Address32(base)));
            Ok(Zeroizing::new(srec::generate_srec_file(&records)))
        }
    }
}

/// The notation that bytes are in; `None` for anything else, such as an image itself.
#[must_use]
pub fn detect(bytes: &[u8]) -> Option<Notation> {
    let text = bytes.trim_ascii_start();
    match text {
        [b':', b'0'..=b'9' | b'A'..=b'F' | b'a'..=b'f', ..] => Some(Notation::IntelHex),
        [b'S', b'0'..=b'9', ..] => Some(Notation::SRecord),
        _ => None,
    }
}

/// An image from text: the address of its first byte, and its bytes. What lies between records is filled with
/// `erased`. Records may come in any order but not name a byte twice.
///
/// # Errors
/// [`Error::Text`] for a damaged record, none at all, overlapping ones, or an area of more than 256 MiB.
pub fn read(notation: Notation, bytes: &[u8], erased: u8) -> Result<(u32, Zeroizing<Vec<u8>>), Error> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.is_ascii());
    let text = text.ok_or_else(|| Error::Text("the file has bytes that are not ASCII text".to_owned()))?;
    let mut rows = match notation {
        Notation::IntelHex => read_hex(text)?,
        Notation::SRecord => read_srecords(text)?,
    };
    rows.retain(|(_, data)| !data.is_empty());
    rows.sort_by_key(|(address, _)| *address);
    let first = rows
        .first()
        .map(|(address, _)| *address)
        .ok_or_else(|| Error::Text("the file has no data".to_owned()))?;
    let mut image = Zeroizing::new(Vec::new());
    for (address, data) in &rows {
        let offset = address.saturating_sub(first);
        let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
        if offset.saturating_add(length) > MAX_LENGTH {
            return Err(Error::Text(format!(
                "the file covers more than {MAX_LENGTH} bytes from {first:#x} on"
            )));
        }
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        if offset < image.len() {
            return Err(Error::Text(format!("two records hold the byte at {address:#x}")));
        }
        image.resize(offset, erased);
        image.extend_from_slice(data);
    }
    let first = u32::try_from(first).map_err(|_| Error::Text("the file begins beyond 4 GiB".to_owned()))?;
    Ok((first, image))
}

type Rows = Vec<(u64, Zeroizing<Vec<u8>>)>;

fn read_hex(text: &str) -> Result<Rows, Error> {
    let mut rows = Vec::new();
    let mut base = 0;
    let mut ended = false;
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = index.saturating_add(1);
        let fault = |reason: String| Error::Text(format!("line {place}: {reason}"));
        if ended {
            return Err(fault("a record behind the end-of-file record".to_owned()));
        }
        match HexRecord::from_record_string(line.trim()).map_err(|error| fault(error.to_string()))? {
            HexRecord::Data { offset, value } => {
                rows.push((u64::from(offset).saturating_add(base), Zeroizing::new(value)));
            }
            HexRecord::ExtendedSegmentAddress(segment) => base = u64::from(segment) << 4,
            HexRecord::ExtendedLinearAddress(upper) => base = u64::from(upper) << 16,
            HexRecord::EndOfFile => ended = true,
            HexRecord::StartSegmentAddress { .. } | HexRecord::StartLinearAddress(_) => {}
        }
    }
    if ended {
        Ok(rows)
    } else {
        Err(Error::Text("the end-of-file record is missing: the file is cut short".to_owned()))
    }
}

fn read_srecords(text: &str) -> Result<Rows, Error> {
    let mut rows = Vec::new();
    let mut ended = false;
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = index.saturating_add(1);
        for record in srec::read_records(line.trim()) {
            let record = record.map_err(|error| Error::Text(format!("line {place}: {error:?}")))?;
            match record {
                SRecord::S1(data) => {
                    rows.push((u64::from(u32::from(data.address)), Zeroizing::new(data.data)))
                }
                SRecord::S2(data) => {
                    rows.push((u64::from(u32::from(data.address)), Zeroizing::new(data.data)))
                }
                SRecord::S3(data) => {
                    rows.push((u64::from(u32::from(data.address)), Zeroizing::new(data.data)))
                }
                SRecord::S7(_) | SRecord::S8(_) | SRecord::S9(_) => ended = true,
                _ => {}
            }
        }
    }
    if ended {
        Ok(rows)
    } else {
        Err(Error::Text("the last record (S7, S8 or S9) is missing: the file is cut short".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_text() {
        // The example of the Intel HEX specification's usual tutorials, with the checksums worked out by hand.
        let hex = write(Notation::IntelHex, &[1, 2, 3], 0x8001_FFFE, None).unwrap();
        assert_eq!(
            *hex,
            ":020000048001 79\n:02FFFE000102FE\n:020000048002 78\n:0100000003FC\n:00000001FF\n"
                .replace(' ', "")
        );
        let srec = write(Notation::SRecord, &[1, 2, 3], 0x8000_0000, None).unwrap();
        assert_eq!(srec.lines().nth(1), Some("S30880000000010203 71".replace(' ', "").as_str()));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            image in proptest::collection::vec(prop_oneof![Just(0xFF_u8), any::<u8>()], 1..300),
            base in any::<u32>().prop_map(|base| base & 0xFFFF_FE7F),
            skip in any::<bool>(),
            hex in any::<bool>(),
        ) {
            let notation = if hex { Notation::IntelHex } else { Notation::SRecord };
            let text = write(notation, &image, base, None).unwrap();
            prop_assert_eq!(detect(text.as_bytes()), Some(notation));
            let (address, bytes) = read(notation, text.as_bytes(), 0xFF).unwrap();
            prop_assert_eq!((address, &*bytes), (base, &image));
            let text = write(notation, &image, base, skip.then_some(0xFF)).unwrap();
            if let Ok((address, bytes)) = read(notation, text.as_bytes(), 0xFF) {
                let offset = (address - base) as usize;
                prop_assert_eq!(&image[offset..offset + bytes.len()], &**bytes);
                prop_assert!(image[..offset].iter().chain(&image[offset + bytes.len()..]).all(|&byte| byte == 0xFF));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b':'), Just(b'S'), b'0'..=b'9', b'A'..=b'F', any::<u8>()], 0..200)) {
            let _ = read(Notation::IntelHex, &bytes, 0xFF);
            let _ = read(Notation::SRecord, &bytes, 0xFF);
        }
    }

    #[test]
    fn damage_is_found() {
        for (notation, text, part) in [
            (Notation::IntelHex, ":0100000003FB\n:00000001FF\n", "line 1"),
            (Notation::IntelHex, ":0100000003FC\n", "cut short"),
            (Notation::IntelHex, ":00000001FF\n", "no data"),
            (Notation::IntelHex, ":0100000003FC\n:0100000003FC\n:00000001FF\n", "two records"),
            (Notation::IntelHex, ":00000001FF\n:0100000003FC\n", "behind the end"),
            (Notation::SRecord, "S30680000000FF79\n", "line 1"),
            (Notation::SRecord, "S3068000000001 78\n", "line 1"),
        ] {
            let message = read(notation, text.as_bytes(), 0xFF).unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
