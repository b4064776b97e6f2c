//! The pages of the repository, and what they consist of.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::common::root;

/// A Markdown file of the repository.
pub(super) struct Page {
    /// Relative to the root of the repository.
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// A fenced block of code.
pub(super) struct Block {
    /// Its language.
    pub(super) language: String,
    /// What follows the language: the name of the file, if it is one.
    pub(super) name: Option<String>,
    /// The line of the fence, from 1.
    pub(super) line: usize,
    pub(super) text: String,
}

/// Every page that a person may read, by its path.
pub(super) fn pages() -> Vec<Page> {
    let tops = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "Taskfile-compat.md"];
    let mut paths: Vec<PathBuf> = tops.iter().map(|name| root().join(name)).collect();
    for folder in ["docs", "kubernetes", "deploy"] {
        paths.extend(markdown_of(&root().join(folder)));
    }
    paths.iter().map(|path| Page::read(path)).collect()
}

fn markdown_of(folder: &Path) -> Vec<PathBuf> {
    let files = WalkDir::new(folder).sort_by_file_name().into_iter().map(|entry| entry.unwrap().into_path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

impl Page {
    pub(super) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        Self { path: path.strip_prefix(root()).unwrap().to_owned(), text }
    }

    /// Its blocks of code.
    pub(super) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut lines = self.text.lines().enumerate();
        while let Some((at, line)) = lines.next() {
            let Some(head) = line.trim_start().strip_prefix("```") else { continue };
            let indent = line.len() - line.trim_start().len();
            let (language, name) = head.split_once(' ').unwrap_or((head, ""));
            let inside = lines.by_ref().map(|(_, line)| line).take_while(|line| !is_fence(line));
            let text = inside.map(|line| line.get(indent..).unwrap_or_default().to_owned() + "\n").collect();
            let name = Some(name.to_owned()).filter(|name| !name.is_empty());
            blocks.push(Block { language: language.to_owned(), name, line: at + 1, text });
        }
        blocks
    }

    /// Its lines outside of blocks of code, with their numbers.
    pub(super) fn prose(&self) -> Vec<(usize, &str)> {
        let mut inside = false;
        let lines = self.text.lines().enumerate().map(|(at, line)| (at + 1, line));
        let outside = lines.filter(|(_, line)| {
            let fence = is_fence(line);
            inside ^= fence;
            !inside && !fence
        });
        outside.collect()
    }
}

fn is_fence(line: &str) -> bool {
    line.trim_start().starts_with("```")
}
