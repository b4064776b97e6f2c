//! Decodes base64, hexadecimal digits and lists of bytes in a text. All decoded data of a view goes into one
//! buffer per alignment.

use super::view::{Decoder, View, digits};

/// Anything shorter contains no marked value.
const SHORTEST_BASE64: usize = 6;
const SHORTEST_HEX: usize = 8;
const SHORTEST_LIST: usize = 4;
/// A base64 line of at least this length may continue on the next line.
const FOLDED: usize = 32;

/// The decoded base64, for each of the four alignments: both alphabets of RFC 4648, with or without padding
/// and line breaks.
pub(super) fn base64_views(view: &View<'_>) -> Vec<View<'static>> {
    let runs = base64_runs(&view.bytes);
    let mut views = Vec::new();
    for phase in 0..4 {
        let mut decoder = Decoder::new(view);
        for run in &runs {
            let Some(run) = run.get(phase..).filter(|run| run.len() >= 2) else { continue };
            decoder.separate(run[0].0);
            decode_base64(run, &mut decoder);
        }
        views.extend(decoder.view());
    }
    views
}

/// Base64 characters, with their position and six bits.
type Run = Vec<(usize, u8)>;

fn base64_runs(bytes: &[u8]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut run: Run = Vec::new();
    let (mut at, mut line) = (0, 0);
    while at < bytes.len() {
        if let Some(bits) = sextet(bytes[at]) {
            run.push((at, bits));
            line += 1;
            at += 1;
            continue;
        }
        let next = next_line(&bytes[at..]).map(|length| at + length);
        match next {
            Some(next) if line >= FOLDED && bytes.get(next).copied().and_then(sextet).is_some() => at = next,
            _ => {
                if run.len() >= SHORTEST_BASE64 {
                    runs.push(std::mem::take(&mut run));
                }
                run.clear();
                at += 1;
            }
        }
        line = 0;
    }
    if run.len() >= SHORTEST_BASE64 {
        runs.push(run);
    }
    runs
}

/// The length of a line break, with the indentation of the next line.
fn next_line(rest: &[u8]) -> Option<usize> {
    let end = rest.iter().take_while(|byte| **byte == b'\r').count();
    (rest.get(end) == Some(&b'\n')).then_some(())?;
    Some(end + 1 + rest[end + 1..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count())
}

fn decode_base64(run: &[(usize, u8)], decoder: &mut Decoder<'_>) {
    let (mut bits, mut count) = (0_u32, 0);
    let mut before = None;
    for (place, sextet) in run {
        bits = ((bits << 6) | u32::from(*sextet)) & 0xFFFF;
        count += 6;
        if count >= 8 {
            count -= 8;
            let byte = u8::try_from((bits >> count) & 0xFF).unwrap_or_default();
            decoder.push(byte, before.unwrap_or(*place)..place + 1);
        }
        before = Some(*place);
    }
}

fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

/// The decoded hexadecimal digits, for both alignments; blanks or colons may separate bytes.
pub(super) fn hex_views(view: &View<'_>) -> Vec<View<'static>> {
    let bytes: &[u8] = &view.bytes;
    let mut plain: [Decoder<'_>; 2] = [Decoder::new(view), Decoder::new(view)];
    let mut spaced = Decoder::new(view);
    let mut at = 0;
    while at < bytes.len() {
        let length = bytes[at..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        if length >= SHORTEST_HEX {
            for (phase, decoder) in plain.iter_mut().enumerate() {
                decoder.separate(at);
                push_hex(bytes, at + phase..at + length, decoder);
            }
        }
        // `61 62 63`, `61:62:63`
        if length == 2 {
            let is_next = at.checked_sub(1).is_some_and(|before| matches!(bytes[before], b' ' | b':'))
                && at.checked_sub(2).is_some_and(|before| bytes[before].is_ascii_hexdigit());
            if !is_next {
                spaced.separate(at);
            }
            push_hex(bytes, at..at + 2, &mut spaced);
        }
        at += length.max(1);
    }
    plain.into_iter().chain([spaced]).filter_map(Decoder::view).collect()
}

fn push_hex(bytes: &[u8], range: std::ops::Range<usize>, decoder: &mut Decoder<'_>) {
    for at in range.clone().step_by(2).filter(|at| at + 2 <= range.end) {
        if let Some(byte) = digits(&bytes[at..], 2, 16).and_then(|byte| u8::try_from(byte).ok()) {
            decoder.push(byte, at..at + 2);
        }
    }
}

/// The decoded lists of numbers: Go prints bytes as `[104 117 110]`, Rust and JSON with commas.
pub(super) fn byte_views(view: &View<'_>) -> Option<View<'static>> {
    let bytes: &[u8] = &view.bytes;
    let mut decoder = Decoder::new(view);
    let mut list: Vec<(u8, std::ops::Range<usize>)> = Vec::new();
    let mut at = 0;
    loop {
        let length =
            bytes.get(at..).map_or(0, |rest| rest.iter().take_while(|byte| byte.is_ascii_digit()).count());
        let number = (1..=3).contains(&length).then(|| digits(&bytes[at..], length, 10)).flatten();
        let mut end = at + length;
        if let Some(byte) = number.and_then(|number| u8::try_from(number).ok()) {
            list.push((byte, at..end));
            let gap = bytes[end..].iter().take_while(|byte| matches!(byte, b' ' | b',' | b'\n')).count();
            if (1..=40).contains(&gap) && bytes.get(end + gap).is_some_and(u8::is_ascii_digit) {
                at = end + gap;
                continue;
            }
        }
        if list.len() >= SHORTEST_LIST {
            decoder.separate(list[0].1.start);
            for (byte, range) in list.drain(..) {
                decoder.push(byte, range);
            }
        }
        list.clear();
        end = end.max(at + 1);
        if end >= bytes.len() {
            return decoder.view();
        }
        at = end;
    }
}
