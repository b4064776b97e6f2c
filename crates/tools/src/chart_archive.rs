//! Whether a chart's archive is valid: a single folder of files, within the size limits. Checks without
//! unpacking.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path};

use flate2::read::MultiGzDecoder;
use tar::EntryType;

use super::ChartSource;
use bootstrapper_core::failure::{Failure, Result};

const MIB: u64 = 1024 * 1024;

/// Helm loads no larger chart (`MaxDecompressedChartSize` of v4.3.1), and so neither does Flux.
const LARGEST: u64 = 100 * MIB;

/// A chart has some hundred files; each takes memory, even if it is empty.
const MOST_FILES: u64 = 10_000;

/// Checks an archive.
pub(super) fn check(archive: &Path, chart: &ChartSource) -> Result<()> {
    let file = File::open(archive).map_err(|error| unread(chart).caused_by(&error))?;
    check_stream(file).map_err(|why| match why {
        Wrong::Unread(error) => unread(chart).caused_by(&error),
        Wrong::Is(why) => Failure::input(format!("refusing to install chart {chart}"))
            .because(why)
            .hint("report it to its publisher; charts created by `helm package` are valid"),
    })
}

fn unread(chart: &ChartSource) -> Failure {
    Failure::step(format!("cannot read chart {chart}"))
}

#[derive(Debug)]
enum Wrong {
    Unread(io::Error),
    Is(String),
}

impl From<io::Error> for Wrong {
    fn from(error: io::Error) -> Self {
        Self::Unread(error)
    }
}

fn check_stream(compressed: impl Read) -> Result<(), Wrong> {
    // Includes headers and padding: there may be any number of empty files.
    let mut unpacked = MultiGzDecoder::new(compressed).take(LARGEST + 1);
    let checked = check_entries(&mut unpacked);
    if unpacked.limit() == 0 {
        return Err(Wrong::Is(format!("it unpacks to more than {} MiB, the limit of Helm", LARGEST / MIB)));
    }
    checked
}

fn check_entries(unpacked: &mut impl Read) -> Result<(), Wrong> {
    let mut archive = tar::Archive::new(unpacked);
    let mut files: u64 = 0;
    for entry in archive.entries()? {
        let entry = entry?;
        files += 1;
        if files > MOST_FILES {
            return Err(Wrong::Is(format!("it contains more than {MOST_FILES} files")));
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let kind = entry.header().entry_type();
        if let Some(what) = refused(kind) {
            return Err(Wrong::Is(format!("`{name}` is {what}")));
        }
        if leads_out(&name) {
            return Err(Wrong::Is(format!("`{name}` is outside of the chart")));
        }
    }
    Ok(())
}

/// The type of an entry that charts must not contain; none if it is permitted.
fn refused(kind: EntryType) -> Option<&'static str> {
    match kind {
        EntryType::Regular | EntryType::Continuous | EntryType::Directory => None,
        EntryType::XGlobalHeader | EntryType::XHeader | EntryType::GNULongName => None,
        EntryType::Symlink | EntryType::Link | EntryType::GNULongLink => Some("a link"),
        EntryType::Char | EntryType::Block => Some("a device"),
        EntryType::Fifo => Some("a pipe"),
        _ => Some("neither a file nor a folder"),
    }
}

fn leads_out(name: &str) -> bool {
    // Helm treats a backslash as a slash.
    let name = name.replace('\\', "/");
    let has_drive = name.chars().nth(1) == Some(':');
    let mut parts = Path::new(&name).components();
    has_drive || !parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use tar::{Builder, Header};

    use super::*;

    fn header(name: &[u8], kind: EntryType, size: u64) -> Header {
        let mut header = Header::new_gnu();
        // Written directly: the library rejects such names.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header.set_cksum();
        header
    }

    fn archive(entries: &[(&str, EntryType)]) -> Vec<u8> {
        let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (name, kind) in entries {
            builder.append(&header(name.as_bytes(), *kind, 0), io::empty()).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap()
    }

    fn why(archive: &[u8]) -> Option<String> {
        match check_stream(archive) {
            Ok(()) => None,
            Err(Wrong::Is(why)) => Some(why),
            Err(Wrong::Unread(error)) => Some(error.to_string()),
        }
    }

    #[test]
    fn an_archive_of_files_and_folders_is_fine() {
        let entries = [("x", EntryType::Directory), ("x/Chart.yaml", EntryType::Regular)];
        assert_eq!(why(&archive(&entries)), None);
        assert_eq!(why(&archive(&[("./x/Chart.yaml", EntryType::Regular)])), None);
    }

    #[test]
    fn what_is_no_file_of_a_chart_is_refused_by_its_name() {
        let table = [
            ("x/values.yaml", EntryType::Symlink, "is a link"),
            ("x/values.yaml", EntryType::Link, "is a link"),
            ("x/zero", EntryType::Char, "is a device"),
            ("x/disk", EntryType::Block, "is a device"),
            ("x/pipe", EntryType::Fifo, "is a pipe"),
            ("../x", EntryType::Regular, "outside of the chart"),
            ("x/../../y", EntryType::Regular, "outside of the chart"),
            ("/etc/passwd", EntryType::Regular, "outside of the chart"),
            ("x\\..\\..\\y", EntryType::Regular, "outside of the chart"),
            ("C:\\x", EntryType::Regular, "outside of the chart"),
        ];
        for (name, kind, expected) in table {
            let why = why(&archive(&[(name, kind)])).unwrap();
            assert!(why.contains(expected) && why.contains(name), "{name}: {why}");
        }
    }

    #[test]
    fn what_unpacks_to_too_much_is_refused_before_it_is_unpacked() {
        let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::best()));
        let size = 4096 * MIB;
        builder
            .append(&header(b"x/zeros", EntryType::Regular, size), io::repeat(0).take(LARGEST + MIB))
            .unwrap();
        let bomb = builder.into_inner().unwrap().finish().unwrap();
        assert!(bomb.len() < 1_000_000);
        assert!(why(&bomb).unwrap().contains("more than 100 MiB"));

        let names: Vec<String> = (0..=MOST_FILES).map(|number| format!("x/{number}")).collect();
        let entries: Vec<_> = names.iter().map(|name| (name.as_str(), EntryType::Regular)).collect();
        assert!(why(&archive(&entries)).unwrap().contains("more than 10000 files"));
    }

    #[test]
    fn any_bytes_may_be_an_archive() {
        let whole = archive(&[("x/Chart.yaml", EntryType::Regular)]);
        for length in 0..whole.len() {
            let _ = why(&whole[..length]);
        }
        let _ = why(b"not an archive");
    }
}
