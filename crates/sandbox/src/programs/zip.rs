//! Reads the zip of a Go module: the index at its end, and entries that are stored or deflated. Their checksums
//! are not compared: the module's hash covers names and content.

use std::io::{self, Read as _};

use flate2::read::DeflateDecoder;

/// Go permits no larger module.
const LARGEST: u64 = 500 * 1024 * 1024;

/// The index's end without its comment, and its longest comment.
const END: usize = 22;
const LONGEST_COMMENT: usize = 0xffff;

/// An entry.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    is_deflated: bool,
    size: u64,
    packed: &'a [u8],
}

impl Entry<'_> {
    /// Its content.
    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        if self.is_deflated {
            DeflateDecoder::new(self.packed).take(self.size + 1).read_to_end(&mut content)?;
        } else {
            content.extend(self.packed);
        }
        if u64::try_from(content.len()).ok() == Some(self.size) {
            Ok(content)
        } else {
            Err(invalid("an entry has another size than its index says"))
        }
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// The entries of a zip.
pub(super) fn entries(zip: &[u8]) -> io::Result<Vec<Entry<'_>>> {
    read_index(zip).ok_or_else(|| invalid("it is not the zip of a module"))
}

fn read_index(zip: &[u8]) -> Option<Vec<Entry<'_>>> {
    let earliest = zip.len().saturating_sub(END + LONGEST_COMMENT);
    let end =
        (earliest..=zip.len().checked_sub(END)?).rev().find(|at| zip[*at..].starts_with(b"PK\x05\x06"))?;
    let (count, mut at) = (short(zip, end + 10)?, long(zip, end + 16)?);
    let mut total: u64 = 0;
    let mut entries = Vec::new();
    for _ in 0..count {
        if !zip.get(at..)?.starts_with(b"PK\x01\x02") {
            return None;
        }
        let (method, packed_size, size) = (short(zip, at + 10)?, long(zip, at + 20)?, long(zip, at + 24)?);
        let [name, extra, comment] = [28, 30, 32].map(|offset| short(zip, at + offset));
        let (name, start) = (slice(zip, at + 46, name?)?, long(zip, at + 42)?);
        if !zip.get(start..)?.starts_with(b"PK\x03\x04") {
            return None;
        }
        // The entry itself has a name and an extra field of its own.
        let data = start + 30 + short(zip, start + 26)? + short(zip, start + 28)?;
        let size = u64::try_from(size).ok()?;
        total += size;
        if total > LARGEST || !matches!(method, 0 | 8) {
            return None;
        }
        entries.push(Entry {
            name: std::str::from_utf8(name).ok()?,
            is_deflated: method == 8,
            size,
            packed: slice(zip, data, packed_size)?,
        });
        at += 46 + name.len() + extra? + comment?;
    }
    Some(entries)
}

fn slice(bytes: &[u8], at: usize, length: usize) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(length)?)
}

fn short(bytes: &[u8], at: usize) -> Option<usize> {
    slice(bytes, at, 2)?.try_into().ok().map(|two| u16::from_le_bytes(two).into())
}

fn long(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(slice(bytes, at, 4)?.try_into().ok()?)).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::DeflateEncoder;

    use super::*;

    /// A zip as Go writes it: sizes after the content, and in the index.
    pub(in super::super) fn zip_of(files: &[(&str, &str)]) -> Vec<u8> {
        let (mut zip, mut index) = (Vec::new(), Vec::new());
        let length = |length: usize| u32::try_from(length).unwrap().to_le_bytes();
        for (number, (name, content)) in files.iter().enumerate() {
            let is_deflated = number % 2 == 0;
            let packed = if is_deflated {
                let mut packer = DeflateEncoder::new(Vec::new(), Compression::default());
                packer.write_all(content.as_bytes()).unwrap();
                packer.finish().unwrap()
            } else {
                content.as_bytes().to_vec()
            };
            let method = if is_deflated { [8, 0] } else { [0, 0] };
            let name_length = u16::try_from(name.len()).unwrap().to_le_bytes();
            index.extend(*b"PK\x01\x02\x14\x00\x14\x00\x08\x00");
            index.extend(method);
            index.extend([0; 8]);
            index.extend(length(packed.len()).into_iter().chain(length(content.len())));
            index.extend(name_length);
            index.extend([0; 12]);
            index.extend(length(zip.len()));
            index.extend(name.as_bytes());
            zip.extend(*b"PK\x03\x04\x14\x00\x08\x00");
            zip.extend(method);
            zip.extend([0; 16]);
            zip.extend(name_length.into_iter().chain([0, 0]));
            zip.extend(name.as_bytes().iter().chain(&packed));
        }
        let start = zip.len();
        let count = u16::try_from(files.len()).unwrap().to_le_bytes();
        zip.extend(&index);
        zip.extend(*b"PK\x05\x06\x00\x00\x00\x00");
        zip.extend(count.into_iter().chain(count));
        zip.extend(length(index.len()).into_iter().chain(length(start)));
        zip.extend([0, 0]);
        zip
    }

    #[test]
    fn entries_are_read_and_nothing_else_is_taken_for_a_zip() {
        let zip = zip_of(&[("a@v1/x", "one"), ("a@v1/y/z", "two"), ("a@v1/empty", "")]);
        let read = entries(&zip).unwrap();
        let content = |entry: &Entry<'_>| String::from_utf8(entry.read().unwrap()).unwrap();
        let read: Vec<_> = read.iter().map(|entry| (entry.name, content(entry))).collect();
        assert_eq!(
            read,
            [("a@v1/x", "one".into()), ("a@v1/y/z", "two".into()), ("a@v1/empty", String::new())]
        );
        for length in 0..zip.len() {
            assert!(entries(&zip[..length]).is_err(), "{length}");
        }
        // Every byte may be wrong: it is an error, or other content, which the hash notices.
        for at in 0..zip.len() {
            for wrong in [0, 0x7f, 0xff] {
                let mut zip = zip.clone();
                zip[at] = wrong;
                for entry in entries(&zip).into_iter().flatten() {
                    drop(entry.read());
                }
            }
        }
    }
}
