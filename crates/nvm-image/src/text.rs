//! Images as text for programming tools: Intel HEX and Motorola S-records.
//!
//! Images hold keys, so every copy that is made of them here is wiped: the text is written into memory that never grows,
//! and lines are read into memory that is wiped. The published crates for these notations leave copies behind; the tests
//! compare with them.

use crate::Error;
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
    // A row takes at most 16 characters beside its bytes, and as many again for the record of a new address.
    let characters = rows
        .iter()
        .fold(128_usize, |sum, (_, row)| sum.saturating_add(row.len().saturating_mul(2)).saturating_add(32));
    let mut text = Zeroizing::new(String::with_capacity(characters));
    match notation {
        Notation::IntelHex => {
            let mut upper = 0;
            for (address, row) in rows {
                let [a, b, c, d] = address.to_be_bytes();
                let high = u16::from_be_bytes([a, b]);
                if high != upper {
                    put_hex(&mut text, [0, 0], LINEAR_ADDRESS, &[a, b]);
                    upper = high;
                }
                put_hex(&mut text, [c, d], DATA, row);
            }
            put_hex(&mut text, [0, 0], END, &[]);
        }
        Notation::SRecord => {
            let count = rows.len();
            put_srecord(&mut text, '0', &[0, 0], b"casemate");
            for (address, row) in rows {
                put_srecord(&mut text, '3', &address.to_be_bytes(), row);
            }
            if let Ok(count) = u16::try_from(count) {
                put_srecord(&mut text, '5', &count.to_be_bytes(), &[]);
            }
            put_srecord(&mut text, '7', &base.to_be_bytes(), &[]);
        }
    }
    Ok(text)
}

/// Types of records of Intel HEX.
const DATA: u8 = 0;
const END: u8 = 1;
const SEGMENT_ADDRESS: u8 = 2;
const SEGMENT_START: u8 = 3;
const LINEAR_ADDRESS: u8 = 4;
const LINEAR_START: u8 = 5;

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

fn put(text: &mut String, bytes: &[u8]) {
    for digit in bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]) {
        text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase());
    }
}

/// A record of at most 255 bytes of data.
fn put_hex(text: &mut String, address: [u8; 2], kind: u8, data: &[u8]) {
    let [high, low] = address;
    let header = [u8::try_from(data.len()).unwrap_or(u8::MAX), high, low, kind];
    text.push(':');
    put(text, &header);
    put(text, data);
    put(text, &[sum(&header).wrapping_add(sum(data)).wrapping_neg()]);
    text.push('\n');
}

/// A record of at most 250 bytes of data.
fn put_srecord(text: &mut String, kind: char, address: &[u8], data: &[u8]) {
    let length = address.len().saturating_add(data.len()).saturating_add(1);
    let length = u8::try_from(length).unwrap_or(u8::MAX);
    text.push('S');
    text.push(kind);
    put(text, &[length]);
    put(text, address);
    put(text, data);
    put(text, &[!length.wrapping_add(sum(address)).wrapping_add(sum(data))]);
    text.push('\n');
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
    // Where the last row ends, unless rows overlap or lie too far apart, which is found below.
    let last = rows.last().map_or(0, |(address, data)| {
        let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
        address.saturating_sub(first).saturating_add(length).min(MAX_LENGTH)
    });
    let mut image = Zeroizing::new(Vec::with_capacity(usize::try_from(last).unwrap_or(0)));
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

/// The bytes that hexadecimal digits stand for.
fn digits(text: &str) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() / 2));
    for pair in text.as_bytes().chunks(2) {
        let [high, low] = pair else { return Err("a digit is missing") };
        let digit =
            |character: u8| char::from(character).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let (Some(high), Some(low)) = (digit(*high), digit(*low)) else {
            return Err("there is a character that is no hexadecimal digit");
        };
        bytes.push(high << 4 | low);
    }
    Ok(bytes)
}

const CUT: &str = "the record is cut short";
const LENGTH: &str = "the record does not have the length that it says";
const CHECKSUM: &str = "the checksum is wrong";

fn row(address: u64, data: &[u8]) -> (u64, Zeroizing<Vec<u8>>) {
    (address, Zeroizing::new(data.to_vec()))
}

/// The records of a text, each told to `take` without its line's end; the message names the line.
fn lines(text: &str, mut take: impl FnMut(&str) -> Result<(), &'static str>) -> Result<(), Error> {
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = index.saturating_add(1);
        take(line.trim()).map_err(|reason| Error::Text(format!("line {place}: {reason}")))?;
    }
    Ok(())
}

fn read_hex(text: &str) -> Result<Rows, Error> {
    let mut rows = Vec::new();
    let mut base = 0;
    let mut ended = false;
    lines(text, |line| {
        if ended {
            return Err("a record behind the end-of-file record");
        }
        let record = digits(line.strip_prefix(':').ok_or("a record begins with a colon")?)?;
        let (_, checked) = record.split_last().ok_or(CUT)?;
        let ([length, high, low, kind], data) = checked.split_first_chunk().ok_or(CUT)?;
        if usize::from(*length) != data.len() {
            return Err(LENGTH);
        }
        if sum(&record) != 0 {
            return Err(CHECKSUM);
        }
        match (*kind, data) {
            (DATA, data) => {
                rows.push(row(u64::from(u16::from_be_bytes([*high, *low])).saturating_add(base), data));
            }
            (END, []) => ended = true,
            (SEGMENT_ADDRESS, [a, b]) => base = u64::from(u16::from_be_bytes([*a, *b])) << 4,
            (LINEAR_ADDRESS, [a, b]) => base = u64::from(u16::from_be_bytes([*a, *b])) << 16,
            (SEGMENT_START | LINEAR_START, [_, _, _, _]) => {}
            (END..=LINEAR_START, _) => return Err("the record has a length that its type does not have"),
            _ => return Err("the record has a type that is none"),
        }
        Ok(())
    })?;
    if ended {
        Ok(rows)
    } else {
        Err(Error::Text("the end-of-file record is missing: the file is cut short".to_owned()))
    }
}

fn read_srecords(text: &str) -> Result<Rows, Error> {
    let mut rows = Vec::new();
    let mut ended = false;
    lines(text, |line| {
        let mut characters = line.chars();
        let (Some('S'), Some(kind)) = (characters.next(), characters.next()) else {
            return Err("a record begins with an S and a digit");
        };
        let record = digits(characters.as_str())?;
        let (_, checked) = record.split_last().ok_or(CUT)?;
        let (length, rest) = checked.split_first().ok_or(CUT)?;
        if usize::from(*length) != rest.len().saturating_add(1) {
            return Err(LENGTH);
        }
        if sum(&record) != u8::MAX {
            return Err(CHECKSUM);
        }
        let address_size = match kind {
            '0' | '1' | '5' | '9' => 2,
            '2' | '6' | '8' => 3,
            '3' | '7' => 4,
            _ => return Err("the record has a type that is none"),
        };
        let (address, data) = rest.split_at_checked(address_size).ok_or(CUT)?;
        let address = address.iter().fold(0, |address, byte| address << 8 | u64::from(*byte));
        match kind {
            '1'..='3' => rows.push(row(address, data)),
            '5'..='9' if !data.is_empty() => {
                return Err("the record has a length that its type does not have");
            }
            '7'..='9' => ended = true,
            _ => {}
        }
        Ok(())
    })?;
    if ended {
        Ok(rows)
    } else {
        Err(Error::Text("the last record (S7, S8 or S9) is missing: the file is cut short".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ihex::Record as HexRecord;
    use proptest::prelude::*;
    use srec::{Address32, Count16, Data, Record as SRecord};

    /// The same text, by the published crates.
    fn written_by_others(notation: Notation, image: &[u8], base: u32, skip: Option<u8>) -> String {
        let rows = rows(image, base, skip).unwrap();
        match notation {
            Notation::IntelHex => {
                let (mut records, mut upper) = (Vec::new(), 0);
                for (address, row) in rows {
                    if address >> 16 != upper {
                        upper = address >> 16;
                        records.push(HexRecord::ExtendedLinearAddress(upper as u16));
                    }
                    records.push(HexRecord::Data { offset: address as u16, value: row.to_vec() });
                }
                records.push(HexRecord::EndOfFile);
                ihex::create_object_file_representation(&records).unwrap()
            }
            Notation::SRecord => {
                let count = Count16(rows.len() as u16);
                let data = rows.into_iter().map(|(address, row)| {
                    SRecord::S3(Data { address: Address32(address), data: row.to_vec() })
                });
                let mut records = vec![SRecord::S0("casemate".to_owned())];
                records.extend(data);
                records.extend([SRecord::S5(count), SRecord::S7(Address32(base))]);
                srec::generate_srec_file(&records)
            }
        }
    }

    /// Whether the published crates read a line.
    fn read_by_others(notation: Notation, line: &str) -> bool {
        match notation {
            Notation::IntelHex => HexRecord::from_record_string(line).is_ok(),
            Notation::SRecord => srec::read_records(line).all(|record| record.is_ok()),
        }
    }

    #[test]
    fn records_of_every_type_are_read_as_others_read_them() {
        let lines = [
            (Notation::IntelHex, ":0100000003FC"),
            (Notation::IntelHex, ":0100000003fc"),
            (Notation::IntelHex, ":020000021000EC"),
            (Notation::IntelHex, ":0400000300003800C1"),
            (Notation::IntelHex, ":020000040800F2"),
            (Notation::IntelHex, ":04000005000000CD2A"),
            (Notation::IntelHex, ":00000001FF"),
            (Notation::IntelHex, ":0100000103FB"),
            (Notation::IntelHex, ":00000004FC"),
            (Notation::IntelHex, ":00000006FA"),
            (Notation::IntelHex, ":0200000003FB"),
            (Notation::IntelHex, ":01000000"),
            (Notation::IntelHex, ":0100000003F"),
            (Notation::IntelHex, ":0100000003FG"),
            (Notation::IntelHex, ":"),
            (Notation::IntelHex, "0100000003FC"),
            (Notation::SRecord, "S0030000FC"),
            (Notation::SRecord, "S10400000AF1"),
            (Notation::SRecord, "S2050000000AF0"),
            (Notation::SRecord, "S306000000000AEF"),
            (Notation::SRecord, "S5030001FB"),
            (Notation::SRecord, "S604000001FA"),
            (Notation::SRecord, "S70500000000FA"),
            (Notation::SRecord, "S804000000FB"),
            (Notation::SRecord, "S9030000FC"),
            (Notation::SRecord, "S10400000AF2"),
            (Notation::SRecord, "S10500000AF0"),
            (Notation::SRecord, "S102000AF3"),
            (Notation::SRecord, "S1"),
            (Notation::SRecord, "S10400000AF"),
            (Notation::SRecord, "T10400000AF1"),
        ];
        for (notation, line) in lines {
            let end = if notation == Notation::IntelHex { ":00000001FF" } else { "S70500000000FA" };
            // Behind an end of file there is none: that record is read alone.
            let text = if line == end { line.to_owned() } else { format!("{line}\n{end}\n") };
            let understood = !matches!(
                read(notation, text.as_bytes(), 0xFF),
                Err(Error::Text(reason)) if reason.contains("line")
            );
            assert_eq!(understood, read_by_others(notation, line), "{line}");
        }
    }

    #[test]
    fn the_text_never_grows() {
        for (length, base) in [(0, 0), (1, 0x8001_FFFE), (100, 7), (70_000, 0x0000_FFF1)] {
            for notation in [Notation::IntelHex, Notation::SRecord] {
                let image = vec![1; length];
                let text = write(notation, &image, base, None).unwrap();
                let rows = rows(&image, base, None).unwrap();
                let characters = rows.iter().map(|(_, row)| row.len() * 2 + 32);
                assert_eq!(
                    text.capacity(),
                    characters.sum::<usize>() + 128,
                    "it was moved, and left a copy behind"
                );
            }
        }
    }

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
            prop_assert_eq!(text.as_str(), written_by_others(notation, &image, base, None));
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
        fn any_text_is_read_or_refused(
            bytes in proptest::collection::vec(
                prop_oneof![Just(b'\n'), Just(b':'), Just(b'S'), b'0'..=b'9', b'A'..=b'F', any::<u8>()],
                0..200,
            )
        ) {
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
