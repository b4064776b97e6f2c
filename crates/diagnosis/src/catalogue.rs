//! The catalogue of failure codes.

use super::connection;
use super::finding::Code;
use super::rules;

/// Every code with its family, in the order of the documentation.
pub fn catalogue() -> impl Iterator<Item = (&'static str, &'static Code)> {
    let families = rules::FAMILIES.iter().copied().chain([("Cluster connection", connection::CODES)]);
    families.flat_map(|(family, codes)| codes.iter().map(move |code| (family, *code)))
}

/// Finds a code by its name, case-insensitively.
pub fn code_named(name: &str) -> Option<&'static Code> {
    catalogue().map(|(_, code)| code).find(|code| code.code.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_is_given_once_and_has_all_its_texts() {
        let mut codes = BTreeSet::new();
        for (_, code) in catalogue() {
            assert!(codes.insert(code.code), "{} is there twice", code.code);
            let parts: Vec<&str> = code.code.split('-').collect();
            let [bs, family, number] = parts.as_slice() else { panic!("{}", code.code) };
            assert!(*bs == "BS" && family.len() == 3 && number.len() == 3, "{}", code.code);
            for text in [code.title, code.why, code.tell, code.fix] {
                assert!(!text.is_empty() && !text.ends_with('.'), "{}: {text:?}", code.code);
            }
        }
    }
}
