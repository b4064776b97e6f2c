//! Bech32 (BIP 173), the encoding of age keys.

const CHARACTERS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const GENERATORS: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];

/// Encodes bytes with a prefix and a checksum. The prefix is lower case.
pub(super) fn encode(prefix: &str, bytes: &[u8]) -> String {
    let data = in_fives(bytes);
    let high = prefix.bytes().map(|character| character >> 5);
    let low = prefix.bytes().map(|character| character & 31);
    let checked = high.chain([0]).chain(low).chain(data.iter().copied());
    let sum = checked.chain([0; 6]).fold(1, step) ^ 1;
    let sum = (0..6).map(|at| five(sum >> (5 * (5 - at))));
    let text = data.iter().copied().chain(sum).map(|value| char::from(CHARACTERS[usize::from(value & 31)]));
    format!("{prefix}1{}", text.collect::<String>())
}

fn step(sum: u32, value: u8) -> u32 {
    let top = sum >> 25;
    let next = ((sum & 0x01ff_ffff) << 5) ^ u32::from(value);
    let set = (0_u32..).zip(GENERATORS).filter(|(bit, _)| top >> bit & 1 == 1);
    set.fold(next, |sum, (_, generator)| sum ^ generator)
}

/// Regroups 8-bit values into 5-bit values, padding the last with zeros.
fn in_fives(bytes: &[u8]) -> Vec<u8> {
    let (mut fives, mut held, mut count) = (Vec::new(), 0_u32, 0);
    for byte in bytes {
        held = (held << 8 | u32::from(*byte)) & 0xffff;
        count += 8;
        while count >= 5 {
            count -= 5;
            fives.push(five(held >> count));
        }
    }
    if count > 0 {
        fives.push(five(held << (5 - count)));
    }
    fives
}

fn five(value: u32) -> u8 {
    value.to_le_bytes()[0] & 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_writes_what_the_standard_has() {
        let bytes = [
            0x00, 0x44, 0x32, 0x14, 0xc7, 0x42, 0x54, 0xb6, 0x35, 0xcf, 0x84, 0x65, 0x3a, 0x56, 0xd7, 0xc6,
            0x75, 0xbe, 0x77, 0xdf,
        ];
        assert_eq!(encode("abcdef", &bytes), "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw");
        assert_eq!(encode("a", &[]), "a12uel5l");
    }
}
