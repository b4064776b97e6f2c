//! `bootstrapper convert`: migrates old objects to their replacements.

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use super::args::ConvertBgpArgs;
use super::out;
use bootstrapper_convert::{Converted, convert_bgp};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_report as report;

const STDIN: &str = "-";

pub(super) fn bgp(args: &ConvertBgpArgs) -> Result<()> {
    let stdin = [PathBuf::from(STDIN)];
    let files: &[PathBuf] = if args.files.is_empty() { &stdin } else { &args.files };
    // Reads all files before writing any.
    let converted: Vec<(&PathBuf, Converted)> = files
        .iter()
        .map(|file| Ok((file, convert_bgp(&read(file)?, &named(file))?)))
        .collect::<Result<_>>()?;
    if args.write {
        for (file, converted) in converted.iter().filter(|(_, converted)| converted.policies > 0) {
            write(file, &converted.text)?;
            out::say(&format!("{}: {} converted", file.display(), policies(converted.policies)));
        }
    } else {
        out::file(&joined(converted.iter().map(|(_, converted)| converted.text.as_str())))?;
    }
    let refusals: Vec<&Failure> = converted.iter().flat_map(|(_, converted)| &converted.refusals).collect();
    for refusal in &refusals {
        out::say(report::failure_text(refusal).trim_end());
    }
    if refusals.is_empty() {
        return Ok(());
    }
    Err(Failure::step("some policies were not converted: the documents named above are unchanged"))
}

fn policies(number: usize) -> String {
    if number == 1 { "1 policy".to_owned() } else { format!("{number} policies") }
}

fn named(file: &Path) -> PathBuf {
    if file == Path::new(STDIN) { PathBuf::from("<stdin>") } else { file.to_owned() }
}

fn read(file: &Path) -> Result<String> {
    if file != Path::new(STDIN) {
        return std::fs::read_to_string(file)
            .map_err(|error| Failure::input(format!("cannot read {}", file.display())).caused_by(&error));
    }
    let mut stdin = std::io::stdin().lock();
    if stdin.is_terminal() {
        out::say("reading YAML from the terminal; end with Ctrl-D, or name files");
    }
    let mut text = String::new();
    stdin.read_to_string(&mut text).map_err(|error| Failure::input("cannot read stdin").caused_by(&error))?;
    Ok(text)
}

fn write(file: &Path, text: &str) -> Result<()> {
    if file == Path::new(STDIN) {
        return Err(
            Failure::input("--write cannot be used with stdin").hint("omit --write to print to stdout")
        );
    }
    std::fs::write(file, text)
        .map_err(|error| Failure::input(format!("cannot write {}", file.display())).caused_by(&error))
}

/// Joins several streams, with a separator where the next one does not begin with it.
fn joined<'a>(streams: impl Iterator<Item = &'a str>) -> String {
    let mut whole = String::new();
    for stream in streams {
        if !whole.is_empty() {
            if !whole.ends_with('\n') {
                whole.push('\n');
            }
            if !stream.starts_with("---") {
                whole.push_str("---\n");
            }
        }
        whole.push_str(stream);
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn streams_are_separated_once() {
        let cases: [(&[&str], &str); 3] = [
            (&["a: 1", "b: 2\n"], "a: 1\n---\nb: 2\n"),
            (&["a: 1\n", "---\nb: 2\n"], "a: 1\n---\nb: 2\n"),
            (&["a: 1"], "a: 1"),
        ];
        for (streams, expected) in cases {
            assert_eq!(joined(streams.iter().copied()), expected);
        }
    }
}
