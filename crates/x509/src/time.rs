//! Times in certificates (RFC 5280, §4.1.2.5).

use crate::elements::{Element, Malformed, tag};
use der::DateTime;

/// The time in seconds since the Unix epoch; a time before it counts as the epoch.
pub(crate) fn decode(element: Element<'_>) -> Result<u64, Malformed> {
    let mut text = element.content;
    let century = match element.tag {
        // 1950 to 2049.
        tag::UTC_TIME if text.first() >= Some(&b'5') => 19,
        tag::UTC_TIME => 20,
        tag::GENERALIZED_TIME => number(&mut text)?,
        _ => return Err(Malformed),
    };
    let mut fields = [0; 6];
    for field in &mut fields {
        *field = number(&mut text)?;
    }
    let [year, month, day, hour, minute, second] = fields;
    if text != b"Z" {
        return Err(Malformed);
    }
    let year = u16::from(century).saturating_mul(100).saturating_add(u16::from(year));
    if year < 1970 {
        return Ok(0);
    }
    let time = DateTime::new(year, month, day, hour, minute, second).map_err(|_| Malformed)?;
    Ok(time.unix_duration().as_secs())
}

/// Takes a number of two digits from the front of `text`.
#[inline(never)]
fn number(text: &mut &[u8]) -> Result<u8, Malformed> {
    let (&[tens, ones], rest) = text.split_first_chunk().ok_or(Malformed)?;
    if !tens.is_ascii_digit() || !ones.is_ascii_digit() {
        return Err(Malformed);
    }
    *text = rest;
    Ok(tens.wrapping_sub(b'0').wrapping_mul(10).wrapping_add(ones.wrapping_sub(b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(tag: u8, text: &str) -> Result<u64, Malformed> {
        decode(Element { tag, encoding: &[], content: text.as_bytes() })
    }

    /// The numbers are those of `date -u -d '…' +%s`.
    #[test]
    fn times_become_seconds() {
        assert_eq!(time(tag::UTC_TIME, "700101000000Z"), Ok(0));
        assert_eq!(time(tag::UTC_TIME, "491231235959Z"), Ok(2_524_607_999));
        assert_eq!(time(tag::UTC_TIME, "500101000000Z"), Ok(0));
        assert_eq!(time(tag::GENERALIZED_TIME, "20500101000000Z"), Ok(2_524_608_000));
        assert_eq!(time(tag::UTC_TIME, "240229120000Z"), Ok(1_709_208_000));
        assert_eq!(time(tag::GENERALIZED_TIME, "99991231235959Z"), Ok(253_402_300_799));
        assert_eq!(time(tag::GENERALIZED_TIME, "19500101000000Z"), Ok(0));
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "230229120000Z",
            "240230000000Z",
            "241301000000Z",
            "240001000000Z",
            "240100000000Z",
            "240101240000Z",
            "240101006000Z",
            "2401010000Z",
            "240101000000+0100",
            "240101000000",
            "24010100000xZ",
            "",
            "240101000000ZZ",
        ] {
            assert_eq!(time(tag::UTC_TIME, text), Err(Malformed), "{text}");
        }
        assert_eq!(time(tag::GENERALIZED_TIME, "20240101000000.5Z"), Err(Malformed));
        assert_eq!(time(tag::OCTET_STRING, "240101000000Z"), Err(Malformed));
    }
}
