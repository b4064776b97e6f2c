//! Takes programs out of a release archive, or takes a released program as it is; compares it with the
//! checksum that its publisher serves beside it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::download::{Downloaded, Missed, save, wrong};
use super::layers::{Wanted, require_found, search};
use super::progress::Meter;
use bootstrapper_core::digest::is_hex;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_tools::{Environment, open_download};

const MIB: u64 = 1024 * 1024;

/// No archive is larger, and no file of checksums.
const LARGEST: u64 = 1024 * MIB;
const LARGEST_CHECKSUMS: u64 = MIB;

/// Downloads a file, and returns its digest.
pub(super) async fn fetch(
    url: &str,
    checksums: Option<&str>,
    file: &Path,
    environment: &Environment,
    meter: &Meter<'_>,
) -> Result<String, Missed> {
    let expected = match checksums {
        Some(checksums) => Some(expected(url, checksums, file, environment).await?),
        None => None,
    };
    let open = async || {
        let download = open_download(url, None, environment).await?;
        download.size().into_iter().for_each(|size| meter.expects(size));
        Ok(download)
    };
    let Downloaded { sha256, .. } = save(open, file, LARGEST, Some(meter)).await?;
    if let Some(expected) = expected.filter(|expected| *expected != sha256) {
        let by = checksums.unwrap_or_default();
        return Err(wrong(
            Failure::step(format!("{url} is not what its publisher announced"))
                .because(format!("sha256 in {by}: {expected}"))
                .because(format!("sha256 of the download: {sha256}")),
        ));
    }
    Ok(format!("sha256:{sha256}"))
}

async fn expected(
    url: &str,
    checksums: &str,
    file: &Path,
    environment: &Environment,
) -> Result<String, Missed> {
    let open = async || open_download(checksums, None, environment).await;
    let list = file.with_extension("checksums");
    save(open, &list, LARGEST_CHECKSUMS, None).await?;
    let text = std::fs::read(&list)
        .map_err(|error| Failure::step(format!("cannot read {}", list.display())).caused_by(&error))?;
    let name = url.rsplit('/').next().unwrap_or(url);
    checksum_of(&String::from_utf8_lossy(&text), name)
        .ok_or_else(|| wrong(Failure::step(format!("{checksums} has no checksum of {name}"))))
}

/// The checksum of a file: the only one, or the one beside its name, as `sha256sum` writes it.
fn checksum_of(text: &str, name: &str) -> Option<String> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let beside_name = |line: &str| {
        let (sum, file) = line.split_once(char::is_whitespace)?;
        let file = file.trim_start().trim_start_matches('*').trim_start_matches("./");
        (file == name && is_hex(sum, 64)).then(|| sum.to_ascii_lowercase())
    };
    if is_hex(text.trim(), 64) {
        return Some(text.trim().to_ascii_lowercase());
    }
    lines.find_map(beside_name)
}

/// Takes programs out of a downloaded archive into `folder`.
pub(super) fn unpack(
    url: &str,
    archive: &Path,
    mut wanted: Vec<Wanted>,
    folder: &Path,
) -> Result<(), Missed> {
    // A link begins another search.
    while wanted.iter().any(|one| one.next_layer() == Some(0)) {
        search(archive, 0, &mut wanted, folder)
            .map_err(|error| wrong(Failure::step(format!("cannot unpack {url}")).caused_by(&error)))?;
    }
    require_found(&wanted, url)
}

/// Makes a downloaded file a program.
pub(super) fn install(file: &Path, program: &Path) -> std::io::Result<()> {
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o700))?;
    std::fs::rename(file, program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_the_only_one_or_that_of_the_name() {
        let (one, two) = ("a".repeat(64), "B".repeat(64));
        assert_eq!(checksum_of(&format!("{one}\n"), "x"), Some(one.clone()));
        let list = format!("{one}  x.tar.gz\n{two} *./y.tar.gz\n\nno checksum\n");
        assert_eq!(checksum_of(&list, "x.tar.gz"), Some(one.clone()));
        assert_eq!(checksum_of(&list, "y.tar.gz"), Some("b".repeat(64)));
        for (text, name) in [(list.as_str(), "z"), ("<html>", "x"), ("", "x"), ("abc  x", "x")] {
            assert_eq!(checksum_of(text, name), None, "{text}");
        }
    }
}
