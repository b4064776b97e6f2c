//! A decoded text, with the original position of each byte.

use std::borrow::Cow;
use std::ops::Range;

/// Bytes, and the start and end of each in the original text.
pub(super) struct View<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    /// None for the original text.
    places: Option<Vec<(u32, u32)>>,
}

impl<'a> View<'a> {
    /// The original text.
    pub(super) fn raw(bytes: &'a [u8]) -> Self {
        Self { bytes: Cow::Borrowed(bytes), places: None }
    }

    /// The original range of a decoded range.
    pub(super) fn place(&self, range: Range<usize>) -> Range<usize> {
        let Some(places) = &self.places else { return range };
        let at = |index: usize| places.get(index).copied().unwrap_or_default();
        if range.is_empty() {
            return at(range.start).0 as usize..at(range.start).0 as usize;
        }
        at(range.start).0 as usize..at(range.end - 1).1 as usize
    }
}

/// Builds a view.
pub(super) struct Decoder<'a> {
    of: &'a View<'a>,
    bytes: Vec<u8>,
    places: Vec<(u32, u32)>,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(of: &'a View<'a>) -> Self {
        Self { of, bytes: Vec::new(), places: Vec::new() }
    }

    /// Adds a byte that decodes `from`.
    pub(super) fn push(&mut self, byte: u8, from: Range<usize>) {
        let place = self.of.place(from);
        let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        self.bytes.push(byte);
        self.places.push((number(place.start), number(place.end)));
    }

    /// Ends the current run: the next bytes do not continue it.
    pub(super) fn separate(&mut self, at: usize) {
        if self.bytes.last().is_some_and(|last| *last != b'\n') {
            self.push(b'\n', at..at);
        }
    }

    pub(super) fn view(self) -> Option<View<'static>> {
        (!self.bytes.is_empty()).then_some(View { bytes: Cow::Owned(self.bytes), places: Some(self.places) })
    }
}

/// The number in the first `count` bytes.
pub(super) fn digits(bytes: &[u8], count: usize, radix: u32) -> Option<u32> {
    let digits = bytes.get(..count).filter(|digits| !digits.is_empty())?;
    digits.iter().try_fold(0_u32, |number, digit| {
        number.checked_mul(radix)?.checked_add(char::from(*digit).to_digit(radix)?)
    })
}
