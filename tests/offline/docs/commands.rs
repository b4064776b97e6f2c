//! Every command that a page shows parses with the real command line.

use bootstrapper::cli::Args;
use clap::Parser as _;
use clap::error::ErrorKind;
use regex::Regex;

use super::page::{Page, pages};

const NAME: &str = "bootstrapper";

/// Languages whose blocks are typed into a shell, or show what was.
const SHELL: [&str; 5] = ["", "sh", "console", "yaml", "mermaid"];

/// The words of a command, as far as a shell would pass them to it.
fn words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let (mut word, mut quote) = (None::<String>, None::<char>);
    for char in line.chars() {
        match (char, quote) {
            (_, Some(open)) if char == open => quote = None,
            ('\'' | '"', None) => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (' ', None) => words.extend(word.take()),
            // What follows is no longer an argument.
            ('|' | ';' | '&' | '#', None) if word.is_none() => return words,
            (';', None) => break,
            // The end of a substitution that the command is in.
            (')', None) if !word.as_deref().unwrap_or_default().contains('(') => break,
            ('>', None)
                if word.as_ref().is_none_or(|word| word.chars().all(|char| char.is_ascii_digit())) =>
            {
                return words;
            }
            _ => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    words
}

/// The calls of the program in a line of a shell.
fn calls(line: &str) -> Vec<Vec<String>> {
    let start =
        Regex::new(r"(?:^|[\s(`/])(?:bootstrapper|cargo run(?: --release| --profile quick| -q)* --) ")
            .unwrap();
    let found = start.find_iter(line);
    found.map(|found| words(line.get(found.end()..).unwrap_or_default())).collect()
}

/// What clap says against a call; `None` if it accepts it.
fn objection(arguments: &[String]) -> Option<clap::Error> {
    let call = std::iter::once(NAME).chain(arguments.iter().map(String::as_str));
    let error = Args::try_parse_from(call).err()?;
    let is_asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    (!is_asked_for).then_some(error)
}

/// Commands in blocks are whole; a name in a sentence (`bootstrapper doctor`) may lack its arguments.
fn wrong_of(page: &Page) -> (usize, Vec<String>) {
    let (mut tried, mut wrong) = (0, Vec::new());
    let mut check = |line: usize, arguments: &[String], is_whole: bool| {
        tried += 1;
        let Some(error) = objection(arguments) else { return };
        let lacks_only_arguments = matches!(
            error.kind(),
            ErrorKind::MissingRequiredArgument
                | ErrorKind::MissingSubcommand
                | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        );
        if is_whole || !lacks_only_arguments {
            let first = error.to_string().lines().next().unwrap_or_default().to_owned();
            wrong.push(format!("{}:{line}: {}: {first}", page.path.display(), arguments.join(" ")));
        }
    };
    for block in page.blocks().iter().filter(|block| SHELL.contains(&block.language.as_str())) {
        let joined = block.text.replace("\\\n", " ");
        let is_session = joined.lines().any(|line| line.starts_with("$ "));
        for (at, line) in joined.lines().enumerate() {
            // In a session, other lines are output.
            let typed = if is_session { line.strip_prefix("$ ") } else { Some(line) };
            let typed = typed.filter(|line| !line.trim_start().starts_with('#'));
            for arguments in typed.map(calls).unwrap_or_default() {
                check(block.line + at + 1, &arguments, true);
            }
        }
    }
    let code = Regex::new("`([^`]+)`").unwrap();
    for (line, text) in page.prose() {
        for span in code.captures_iter(text) {
            // A pipe within a table is escaped.
            for arguments in calls(&span[1].replace("\\|", "|")) {
                check(line, &arguments, false);
            }
        }
    }
    (tried, wrong)
}

#[test]
fn every_command_parses() {
    let (counts, wrong): (Vec<usize>, Vec<Vec<String>>) = pages().iter().map(wrong_of).unzip();
    let wrong = wrong.concat();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(counts.iter().sum::<usize>() > 80, "the pages show commands: {counts:?}");
}

#[test]
fn a_shell_line_is_split_as_a_shell_does() {
    let call = |line: &str| calls(line).concat().join("|");
    assert_eq!(call("bootstrapper plan infra | head"), "plan|infra");
    assert_eq!(call("bootstrapper trust infra    # review"), "trust|infra");
    assert_eq!(call("bootstrapper validate --output sarif > out.sarif"), "validate|--output|sarif");
    assert_eq!(call("cargo run --release -- infra --sandbox"), "infra|--sandbox");
    assert_eq!(
        call("bootstrapper sandbox exec infra r -- sh -c 'a; b'"),
        "sandbox|exec|infra|r|--|sh|-c|a; b"
    );
    assert_eq!(call("cargo install bootstrapper"), "");
}
