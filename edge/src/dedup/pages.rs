//! A queue in pages: it grows and shrinks a page at a time, moves no item, and knows its exact size.
//!
//! Items are numbered from zero in the order in which they came, and keep their numbers.

use std::collections::VecDeque;
use std::ops::Range;

const PAGE_BYTES: usize = 16 << 10;

#[derive(Debug)]
pub(super) struct Pages<T> {
    pages: VecDeque<Vec<T>>,
    /// The number of the first page's first item, which may be gone already.
    base: u64,
    kept: Range<u64>,
}

impl<T: Copy> Pages<T> {
    const PAGE_ITEMS: usize = PAGE_BYTES / size_of::<T>();

    pub(super) fn new() -> Self {
        Pages { pages: VecDeque::new(), base: 0, kept: 0..0 }
    }

    /// As if so many had come and gone.
    #[cfg(test)]
    pub(super) fn starting_at(base: u64) -> Self {
        Pages { base, kept: base..base, ..Pages::new() }
    }

    /// The numbers that are kept.
    pub(super) fn kept(&self) -> Range<u64> {
        self.kept.clone()
    }

    pub(super) fn len(&self) -> u64 {
        self.kept.end - self.kept.start
    }

    pub(super) fn get(&self, number: u64) -> T {
        let (page, at) = self.place(number);
        self.pages[page][at]
    }

    pub(super) fn get_mut(&mut self, number: u64) -> &mut T {
        let (page, at) = self.place(number);
        &mut self.pages[page][at]
    }

    /// Answers the item's number.
    pub(super) fn push(&mut self, item: T) -> u64 {
        if self.is_page_due() {
            self.pages.reserve_exact(self.list_due());
            self.pages.push_back(Vec::with_capacity(Self::PAGE_ITEMS));
        }
        self.pages.back_mut().expect("a page was just made where none had room").push(item);
        self.kept.end += 1;
        self.kept.end - 1
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let number = self.kept.clone().next()?;
        let item = self.get(number);
        self.kept.start += 1;
        if self.kept.start == self.base + Self::PAGE_ITEMS as u64 {
            self.pages.pop_front();
            self.base = self.kept.start;
        }
        Some(item)
    }

    /// On the heap, all of it.
    pub(super) fn bytes(&self) -> usize {
        self.pages.len() * Self::page_bytes() + self.pages.capacity() * size_of::<Vec<T>>()
    }

    /// How much the next push adds.
    pub(super) fn bytes_due(&self) -> usize {
        if self.is_page_due() {
            Self::page_bytes() + self.list_due() * size_of::<Vec<T>>()
        } else {
            0
        }
    }

    fn page_bytes() -> usize {
        Self::PAGE_ITEMS * size_of::<T>()
    }

    /// How many places the list of pages gets with the next page: none, or as many as it has.
    fn list_due(&self) -> usize {
        let places = self.pages.capacity();
        if self.pages.len() < places { 0 } else { places.max(4) }
    }

    fn is_page_due(&self) -> bool {
        self.pages.back().is_none_or(|page| page.len() == Self::PAGE_ITEMS)
    }

    fn place(&self, number: u64) -> (usize, usize) {
        debug_assert!(self.kept.contains(&number), "{number} is not in {:?}", self.kept);
        let at = (number - self.base) as usize;
        (at / Self::PAGE_ITEMS, at % Self::PAGE_ITEMS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Few to a page.
    type Big = [u64; 512];

    fn big(n: u64) -> Big {
        [n; 512]
    }

    proptest! {
        #[test]
        fn it_is_a_queue_whose_items_keep_their_numbers(
            steps in prop::collection::vec(prop::bool::weighted(0.6), 0..200),
        ) {
            let mut pages = Pages::<Big>::new();
            let mut model = VecDeque::new();
            let mut pushed = 0;
            for push in steps {
                if push {
                    let (before, due) = (pages.bytes(), pages.bytes_due());
                    prop_assert_eq!(pages.push(big(pushed)), pushed);
                    prop_assert_eq!(pages.bytes(), before + due);
                    model.push_back(pushed);
                    pushed += 1;
                } else {
                    prop_assert_eq!(pages.pop(), model.pop_front().map(big));
                }
                prop_assert_eq!(pages.kept(), pushed - model.len() as u64..pushed);
                for (number, item) in pages.kept().zip(&model) {
                    prop_assert_eq!(number, *item);
                    prop_assert_eq!(pages.get(number), big(*item));
                }
                prop_assert!(pages.pages.len() <= model.len() / 4 + 2, "emptied pages are given back");
            }
        }
    }

    #[test]
    fn an_item_can_be_changed_in_its_place() {
        let mut pages = Pages::<u32>::new();
        for n in 0..10_000 {
            pages.push(n);
        }
        for _ in 0..5_000 {
            pages.pop();
        }
        *pages.get_mut(7_000) = 1;
        assert_eq!((pages.get(6_999), pages.get(7_000), pages.get(7_001)), (6_999, 1, 7_001));
    }
}
