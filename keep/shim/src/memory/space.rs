//! What is mapped, and which pages of it exist.

use alloc::vec::Vec;
use core::ops::Range;

use rangemap::RangeMap;

use super::{Access, PAGE, Pages};
use crate::Error;

/// The runtime's address space.
///
/// An area is mapped when the runtime asks for it and costs nothing until it is touched: the
/// first access to a page faults, and the page is added then ([`AddressSpace::fault`]).
///
/// Pages that are unmapped are given back, and nothing can be done with them any more.
#[derive(Debug)]
pub struct AddressSpace {
    bounds: Bounds,
    /// Areas and the access that they have.
    areas: RangeMap<u64, Access>,
    /// Pages that exist, and the access that the TEE gives to them.
    present: RangeMap<u64, Access>,
    /// The end of the heap.
    break_end: u64,
    /// Bytes that can be accessed, or hold something.
    used: u64,
    /// Of these, bytes that the runtime did not ask for.
    reserved: u64,
}

/// Where an address space lies, and how much may be in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Where `brk` begins; there is room up to the start of `map`.
    pub heap: u64,
    /// Where `mmap` places what it maps.
    pub map: Range<u64>,
    /// Bytes that can be mapped with any access, which are as many as can be used.
    pub accessible_bytes: u64,
}

/// What is to be done about a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The access is allowed now.
    Resolved,
    /// Nothing is mapped there (`SEGV_MAPERR`).
    Unmapped,
    /// The area does not allow the access (`SEGV_ACCERR`).
    Denied,
}

impl AddressSpace {
    /// Pages that are added at a fault beside the one that faulted: memory is touched in
    /// order as a rule, and a fault costs much more than a page.
    const FAULT_AROUND: u64 = 16 * PAGE;

    /// Areas from which on there are no more, as on Linux.
    const MOST_AREAS: usize = 65_530;

    /// An empty address space.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            break_end: bounds.heap,
            bounds,
            areas: RangeMap::new(),
            present: RangeMap::new(),
            used: 0,
            reserved: 0,
        }
    }

    /// Takes note of pages that were there from the start.
    pub fn register(&mut self, range: Range<u64>, access: Access) {
        self.reserve(range.clone(), access);
        self.present.insert(range, access);
    }

    /// Maps a range that does not count as memory that the runtime asked for, and need not lie
    /// in the bounds.
    pub fn reserve(&mut self, range: Range<u64>, access: Access) {
        let bytes = self.counted(&range, access);
        self.used += bytes;
        self.reserved += bytes;
        self.areas.insert(range, access);
    }

    /// Maps `length` bytes where there is room.
    ///
    /// # Errors
    ///
    /// [`Error::EINVAL`] for a length of zero and [`Error::ENOMEM`] when there is no room.
    pub fn map(&mut self, pages: &impl Pages, length: u64, access: Access) -> Result<u64, Error> {
        let range = self.free_range(whole_pages(length)?)?;
        self.place(pages, range, access)
    }

    /// Maps `length` bytes at `address`, instead of what is there.
    ///
    /// # Errors
    ///
    /// [`Error::EINVAL`] for an address within a page or a length of zero, and
    /// [`Error::ENOMEM`] when there is no room.
    pub fn map_fixed(
        &mut self,
        pages: &impl Pages,
        address: u64,
        length: u64,
        access: Access,
    ) -> Result<u64, Error> {
        let range = self.in_bounds(aligned(address)?, whole_pages(length)?)?;
        // What is there is lost only if something else takes its place.
        self.charge(pages, &range, access)?;
        Ok(self.occupy(pages, range, access))
    }

    /// Unmaps whatever is mapped in a range.
    ///
    /// # Errors
    ///
    /// [`Error::EINVAL`] for an address within a page, a length of zero, or a range
    /// outside the part of the address space that `mmap` gives out; [`Error::ENOMEM`] when there
    /// are too many areas to make more of one.
    pub fn unmap(&mut self, pages: &impl Pages, address: u64, length: u64) -> Result<(), Error> {
        let range = self
            .in_bounds(aligned(address)?, whole_pages(length)?)
            .map_err(|_| Error::EINVAL)?;
        if self.areas.len() >= Self::MOST_AREAS {
            return Err(Error::ENOMEM);
        }
        self.remove(pages, range);
        Ok(())
    }

    /// Changes the access to a range that is mapped.
    ///
    /// # Errors
    ///
    /// [`Error::ENOMEM`] when some of it is not mapped, or there would be more memory than
    /// there may be.
    pub fn protect(
        &mut self,
        pages: &impl Pages,
        address: u64,
        length: u64,
        access: Access,
    ) -> Result<(), Error> {
        let Some(range) = self.mapped(address, length)? else {
            return Ok(());
        };
        self.charge(pages, &range, access)?;
        self.areas.insert(range.clone(), access);
        for (existing, from) in self.present_in(&range) {
            self.change(pages, existing, from, access);
        }
        self.revive(pages, &range, access);
        Ok(())
    }

    /// Forgets the contents of a range: it reads as zeros from now on.
    ///
    /// # Errors
    ///
    /// [`Error::ENOMEM`] when some of it is not mapped.
    pub fn discard(&mut self, pages: &impl Pages, address: u64, length: u64) -> Result<(), Error> {
        let Some(range) = self.mapped(address, length)? else {
            return Ok(());
        };
        for (existing, access) in self.present_in(&range) {
            self.clear(pages, existing, access, access);
        }
        Ok(())
    }

    /// Moves the end of the heap to `end`, if it can be there, and gives where it is now.
    pub fn set_break(&mut self, pages: &impl Pages, end: u64) -> u64 {
        let old = self.break_end.next_multiple_of(PAGE);
        if (self.bounds.heap..=self.bounds.map.start).contains(&end) {
            let new = end.next_multiple_of(PAGE);
            if new < old {
                self.remove(pages, new..old);
                self.break_end = end;
            } else if new == old
                || (!self.areas.overlaps(&(old..new))
                    && self.place(pages, old..new, Access::READ_WRITE).is_ok())
            {
                self.break_end = end;
            }
        }
        self.break_end
    }

    /// Resolves a fault at `address` that wanted `access`.
    pub fn fault(&mut self, pages: &impl Pages, address: u64, access: Access) -> Fault {
        let page = address - address % PAGE;
        let Some((area, allowed)) = self.areas.get_key_value(&page) else {
            return Fault::Unmapped;
        };
        if !allowed.allows(access) {
            return Fault::Denied;
        }
        let block = page - page % Self::FAULT_AROUND;
        let around = block.max(area.start)..(block + Self::FAULT_AROUND).min(area.end);
        self.ensure_present(pages, around);
        Fault::Resolved
    }

    /// Makes a range accessible to the shim itself, which must not fault.
    ///
    /// # Errors
    ///
    /// [`Error::EFAULT`] when some of it is not mapped or does not allow `access`.
    pub fn prepare(
        &mut self,
        pages: &impl Pages,
        address: u64,
        length: u64,
        access: Access,
    ) -> Result<(), Error> {
        if length == 0 {
            return Ok(());
        }
        let end = address.checked_add(length).ok_or(Error::EFAULT)?;
        let range =
            address - address % PAGE..end.checked_next_multiple_of(PAGE).ok_or(Error::EFAULT)?;
        let mut areas = self.areas.overlapping(&range);
        let is_allowed = areas.all(|(_, allowed)| allowed.allows(access));
        if !is_allowed || self.areas.gaps(&range).next().is_some() {
            return Err(Error::EFAULT);
        }
        self.ensure_present(pages, range);
        Ok(())
    }

    /// Maps a free range.
    fn place(
        &mut self,
        pages: &impl Pages,
        range: Range<u64>,
        access: Access,
    ) -> Result<u64, Error> {
        self.charge(pages, &range, access)?;
        Ok(self.occupy(pages, range, access))
    }

    /// Makes a range an area, whose pages are zero.
    fn occupy(&mut self, pages: &impl Pages, range: Range<u64>, access: Access) -> u64 {
        self.areas.insert(range.clone(), access);
        for (stale, from) in self.present_in(&range) {
            self.clear(pages, stale, from, access);
        }
        self.revive(pages, &range, access);
        range.start
    }

    /// Adds the pages of a range with `access` again that were removed and that others may still reach: what
    /// they write there is not to be lost.
    fn revive(&mut self, pages: &impl Pages, range: &Range<u64>, access: Access) {
        if access != Access::NONE {
            for part in pages.remembered(range) {
                self.ensure_present(pages, part);
            }
        }
    }

    /// Unmaps a range and gives its pages back.
    fn remove(&mut self, pages: &impl Pages, range: Range<u64>) {
        self.used -= self.bytes_in(&range);
        for (existing, _) in self.present_in(&range) {
            pages.remove(existing);
        }
        self.present.remove(range.clone());
        self.areas.remove(range);
        self.give_up(pages);
    }

    /// Adds the pages of a mapped range that do not exist.
    fn ensure_present(&mut self, pages: &impl Pages, range: Range<u64>) {
        let missing: Vec<_> = self.present.gaps(&range).collect();
        for gap in missing {
            pages.add(gap.clone());
            self.present.insert(gap.clone(), Access::READ_WRITE);
            let areas: Vec<_> = self
                .areas
                .overlapping(&gap)
                .map(|(area, access)| (intersection(area, &gap), *access))
                .collect();
            for (part, access) in areas {
                self.change(pages, part, Access::READ_WRITE, access);
            }
        }
    }

    /// Changes the access of pages that exist.
    fn change(&mut self, pages: &impl Pages, range: Range<u64>, from: Access, to: Access) {
        let kept = from.and(to);
        if kept != from {
            pages.restrict(range.clone(), kept);
        }
        if kept != to {
            pages.extend(range.clone(), to);
        }
        self.present.insert(range, to);
    }

    /// Zeroes pages that exist, and leaves `to` as their access.
    fn clear(&mut self, pages: &impl Pages, range: Range<u64>, from: Access, to: Access) {
        self.change(pages, range.clone(), from, Access::READ_WRITE);
        pages.zero(range.clone());
        self.change(pages, range, Access::READ_WRITE, to);
    }

    /// Counts the bytes of `range`, which is to have the access `to`, instead of what is there.
    fn charge(&mut self, pages: &impl Pages, range: &Range<u64>, to: Access) -> Result<(), Error> {
        let (before, after) = (self.bytes_in(range), self.counted(range, to));
        let most = self.bounds.accessible_bytes.saturating_add(self.reserved);
        let used = self.used - before + after;
        let end = match to {
            Access::NONE => range.start,
            _ => range.end,
        };
        let fits = (used <= most || after <= before) && self.areas.len() < Self::MOST_AREAS;
        if !fits || !pages.promise(range.start..end, used.saturating_sub(self.reserved)) {
            return Err(Error::ENOMEM);
        }
        self.used = used;
        Ok(())
    }

    /// Does without what is not used any more: less can always be had.
    fn give_up(&self, pages: &impl Pages) {
        let _ = pages.promise(0..0, self.used.saturating_sub(self.reserved));
    }

    fn bytes_in(&self, range: &Range<u64>) -> u64 {
        let areas = self.areas.overlapping(range);
        areas
            .map(|(area, access)| self.counted(&intersection(area, range), *access))
            .sum()
    }

    /// Bytes of a range with `access` that count: what cannot be accessed does so if it was once, and is
    /// still there.
    fn counted(&self, range: &Range<u64>, access: Access) -> u64 {
        if access != Access::NONE {
            return range.end - range.start;
        }
        let present = self.present_in(range).into_iter();
        present.map(|(part, _)| part.end - part.start).sum()
    }

    /// A range that has to be mapped as a whole; none if it is empty.
    fn mapped(&self, address: u64, length: u64) -> Result<Option<Range<u64>>, Error> {
        let start = aligned(address)?;
        if length == 0 {
            return Ok(None);
        }
        let end = start.checked_add(whole_pages(length)?);
        let range = start..end.ok_or(Error::ENOMEM)?;
        match self.areas.gaps(&range).next() {
            Some(_) => Err(Error::ENOMEM),
            None => Ok(Some(range)),
        }
    }

    fn present_in(&self, range: &Range<u64>) -> Vec<(Range<u64>, Access)> {
        self.present
            .overlapping(range)
            .map(|(part, access)| (intersection(part, range), *access))
            .collect()
    }

    /// The first range of `length` bytes that is free.
    fn free_range(&self, length: u64) -> Result<Range<u64>, Error> {
        self.areas
            .gaps(&self.bounds.map)
            .find(|gap| gap.end - gap.start >= length)
            .map(|gap| gap.start..gap.start + length)
            .ok_or(Error::ENOMEM)
    }

    fn in_bounds(&self, start: u64, length: u64) -> Result<Range<u64>, Error> {
        match start.checked_add(length) {
            Some(end) if start >= self.bounds.map.start && end <= self.bounds.map.end => {
                Ok(start..end)
            }
            _ => Err(Error::ENOMEM),
        }
    }
}

fn intersection(a: &Range<u64>, b: &Range<u64>) -> Range<u64> {
    a.start.max(b.start)..a.end.min(b.end)
}

fn aligned(address: u64) -> Result<u64, Error> {
    if address.is_multiple_of(PAGE) {
        Ok(address)
    } else {
        Err(Error::EINVAL)
    }
}

fn whole_pages(length: u64) -> Result<u64, Error> {
    match length.checked_next_multiple_of(PAGE) {
        Some(0) => Err(Error::EINVAL),
        Some(length) => Ok(length),
        None => Err(Error::ENOMEM),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::{Cell, RefCell},
        collections::{BTreeMap, BTreeSet},
    };

    use super::*;

    /// Pages whose contents is one number each: what was last written, or zero; bytes that there are at
    /// most; and pages that were removed, if others remember them.
    struct Model(
        RefCell<BTreeMap<u64, (Access, u64)>>,
        Cell<u64>,
        RefCell<Option<BTreeSet<u64>>>,
    );

    impl Model {
        fn each(&self, range: Range<u64>, mut act: impl FnMut(&mut (Access, u64))) {
            let mut pages = self.0.borrow_mut();
            for page in range.step_by(PAGE as usize) {
                act(pages.get_mut(&page).expect("only pages that exist change"));
            }
        }

        fn write(&self, page: u64, value: u64) {
            self.each(page..page + PAGE, |page| page.1 = value);
        }

        fn get(&self, page: u64) -> Option<(Access, u64)> {
            self.0.borrow().get(&page).copied()
        }
    }

    impl Pages for Model {
        fn add(&self, range: Range<u64>) {
            for page in range.step_by(PAGE as usize) {
                let earlier = self.0.borrow_mut().insert(page, (Access::READ_WRITE, 0));
                assert_eq!(earlier, None, "a page is added once");
                if let Some(removed) = &mut *self.2.borrow_mut() {
                    removed.remove(&page);
                }
            }
        }

        fn remove(&self, range: Range<u64>) {
            for page in range.step_by(PAGE as usize) {
                let removed = self.0.borrow_mut().remove(&page);
                assert!(removed.is_some(), "only pages that exist are removed");
                if let Some(removed) = &mut *self.2.borrow_mut() {
                    removed.insert(page);
                }
            }
        }

        fn remembered(&self, range: &Range<u64>) -> Vec<Range<u64>> {
            let removed = self.2.borrow();
            let pages = removed.iter().flat_map(|pages| pages.range(range.clone()));
            pages.map(|page| *page..*page + PAGE).collect()
        }

        fn restrict(&self, range: Range<u64>, access: Access) {
            self.each(range, |page| {
                assert!(page.0.allows(access) && page.0 != access);
                page.0 = access;
            });
        }

        fn extend(&self, range: Range<u64>, access: Access) {
            self.each(range, |page| {
                assert!(access.allows(page.0) && page.0 != access);
                page.0 = access;
            });
        }

        fn zero(&self, range: Range<u64>) {
            self.each(range, |page| {
                assert!(page.0.allows(Access::WRITE));
                page.1 = 0;
            });
        }

        fn promise(&self, _: Range<u64>, bytes: u64) -> bool {
            bytes <= self.1.get()
        }
    }

    const START: u64 = 0x10_0000;
    const RW: Access = Access::READ_WRITE;

    fn space() -> (AddressSpace, Model) {
        let bounds = Bounds {
            heap: 0x1000,
            map: START..START + 1000 * PAGE,
            accessible_bytes: 500 * PAGE,
        };
        let model = Model(RefCell::default(), Cell::new(u64::MAX), RefCell::default());
        (AddressSpace::new(bounds), model)
    }

    #[test]
    fn pages_come_with_the_first_access_and_go_when_they_are_unmapped() {
        let (mut space, model) = space();
        let at = space.map(&model, 40 * PAGE, RW).unwrap();
        assert!(model.0.borrow().is_empty());
        assert_eq!(space.fault(&model, at + 5, Access::WRITE), Fault::Resolved);
        assert_eq!(model.0.borrow().len(), 16);
        model.write(at, 7);
        space.unmap(&model, at, 40 * PAGE).unwrap();
        assert!(model.0.borrow().is_empty(), "they were given back");
        assert_eq!(space.fault(&model, at, Access::READ), Fault::Unmapped);
        assert_eq!(space.map(&model, PAGE, Access::READ).unwrap(), at);
        assert_eq!(space.fault(&model, at, Access::READ), Fault::Resolved);
        assert_eq!(model.get(at), Some((Access::READ, 0)));
        assert_eq!(space.fault(&model, at, Access::WRITE), Fault::Denied);
    }

    #[test]
    fn memory_is_limited() {
        let (mut space, model) = space();
        let reserved = space.map(&model, 900 * PAGE, Access::NONE).unwrap();
        assert_eq!(asked_for(&space), 0);
        space.protect(&model, reserved, 500 * PAGE, RW).unwrap();
        assert_eq!(space.map(&model, PAGE, RW), Err(Error::ENOMEM));
        assert_eq!(
            space.protect(&model, reserved, 501 * PAGE, RW),
            Err(Error::ENOMEM)
        );
        space.protect(&model, reserved, PAGE, Access::READ).unwrap();
        assert_eq!(space.map(&model, PAGE, Access::READ), Err(Error::ENOMEM));
        space.protect(&model, reserved, PAGE, Access::NONE).unwrap();
        space.map(&model, PAGE, RW).unwrap();
        assert_eq!(asked_for(&space), 500 * PAGE);
        // What holds something takes memory whether it can be accessed or not.
        space.prepare(&model, reserved + PAGE, PAGE, RW).unwrap();
        space
            .protect(&model, reserved, 500 * PAGE, Access::NONE)
            .unwrap();
        assert_eq!(asked_for(&space), 2 * PAGE);
        space.unmap(&model, reserved, 900 * PAGE).unwrap();
        assert_eq!(asked_for(&space), PAGE);
    }

    #[test]
    fn nothing_is_mapped_that_there_is_no_memory_for() {
        let (mut space, model) = space();
        model.1.set(10 * PAGE);
        let at = space.map(&model, 8 * PAGE, Access::NONE).unwrap();
        space.protect(&model, at, 8 * PAGE, RW).unwrap();
        assert_eq!(space.map(&model, 3 * PAGE, RW), Err(Error::ENOMEM));
        let more = space.map(&model, 3 * PAGE, Access::NONE).unwrap();
        assert_eq!(
            space.protect(&model, more, 3 * PAGE, RW),
            Err(Error::ENOMEM)
        );
        assert_eq!(space.set_break(&model, 0x4000), 0x1000);
        space.unmap(&model, at, PAGE).unwrap();
        space.protect(&model, more, 3 * PAGE, RW).unwrap();
    }

    /// As the C library does with what it relocated (RELRO).
    #[test]
    fn what_was_there_from_the_start_does_not_count() {
        let (mut space, model) = space();
        let start = 0x80_0000;
        pages_of(&model, start..start + 8 * PAGE);
        space.register(start..start + 8 * PAGE, RW);
        assert_eq!(asked_for(&space), 0);
        space
            .protect(&model, start, 4 * PAGE, Access::READ)
            .unwrap();
        space.map(&model, 500 * PAGE, RW).unwrap();
        assert_eq!(space.map(&model, 5 * PAGE, RW), Err(Error::ENOMEM));
    }

    /// Bytes that the runtime asked for.
    fn asked_for(space: &AddressSpace) -> u64 {
        space.used - space.reserved
    }

    fn pages_of(model: &Model, range: Range<u64>) {
        model.add(range);
    }

    #[test]
    fn the_heap_grows_shrinks_and_is_limited() {
        let (mut space, model) = space();
        assert_eq!(space.set_break(&model, 0), 0x1000);
        assert_eq!(space.set_break(&model, 0x3001), 0x3001);
        space.prepare(&model, 0x3000, 16, RW).unwrap();
        model.write(0x3000, 9);
        assert_eq!(space.set_break(&model, 0x1800), 0x1800);
        assert_eq!(model.get(0x3000), None);
        assert_eq!(space.set_break(&model, 0x4000), 0x4000);
        space.prepare(&model, 0x3000, 16, RW).unwrap();
        assert_eq!(model.get(0x3000), Some((RW, 0)));
        assert_eq!(space.set_break(&model, START + 1), 0x4000);
    }

    #[test]
    fn access_of_pages_that_exist_is_restricted_before_it_is_extended() {
        let (mut space, model) = space();
        let at = space.map(&model, 4 * PAGE, RW).unwrap();
        space.prepare(&model, at, 4 * PAGE, RW).unwrap();
        let code = Access::from_protection(5).unwrap();
        space.protect(&model, at + PAGE, PAGE, code).unwrap();
        assert_eq!(model.get(at), Some((RW, 0)));
        assert_eq!(model.get(at + PAGE), Some((code, 0)));
        assert_eq!(Access::from_protection(7), Err(Error::EACCES));
        assert_eq!(Access::from_protection(8), Err(Error::EINVAL));
        assert_eq!(
            space.prepare(&model, at, 2 * PAGE, Access::WRITE),
            Err(Error::EFAULT)
        );
    }

    /// Thousands of random calls against a model that has one entry for each page.
    #[test]
    fn random_calls_agree_with_a_map_of_single_pages() {
        make_random_calls(None);
        make_random_calls(Some(BTreeSet::new()));
    }

    fn make_random_calls(removed: Option<BTreeSet<u64>>) {
        let (mut space, model) = space();
        model.2.replace(removed);
        let mut expected: BTreeMap<u64, (Access, u64)> = BTreeMap::new();
        let mut seed = 0x9E37_79B9_7F4A_7C15u64;
        let mut random = move |below: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed % below
        };
        for round in 1..20_000u64 {
            let at = START + random(100) * PAGE;
            let length = (1 + random(20)) * PAGE;
            let range = (at..at + length).step_by(PAGE as usize);
            let access = [Access::NONE, Access::READ, RW][random(3) as usize];
            match random(6) {
                0 => {
                    if space.map_fixed(&model, at, length, access).is_ok() {
                        expected.extend(range.map(|page| (page, (access, 0))));
                    }
                }
                1 => {
                    space.unmap(&model, at, length).unwrap();
                    for page in range {
                        expected.remove(&page);
                        assert_eq!(model.get(page), None);
                    }
                }
                2 => {
                    let mapped = range.clone().all(|page| expected.contains_key(&page));
                    assert_eq!(space.protect(&model, at, length, access).is_ok(), mapped);
                    if mapped {
                        range.for_each(|page| expected.get_mut(&page).unwrap().0 = access);
                    }
                }
                3 => {
                    if space.discard(&model, at, length).is_ok() {
                        range.for_each(|page| expected.get_mut(&page).unwrap().1 = 0);
                    }
                }
                4 => {
                    let allowed = expected.get(&at).is_some_and(|page| page.0 == RW);
                    let fault = space.fault(&model, at, Access::WRITE);
                    assert_eq!(fault == Fault::Resolved, allowed);
                    if allowed {
                        model.write(at, round);
                        expected.get_mut(&at).unwrap().1 = round;
                    }
                }
                _ => {
                    let readable = range.clone().all(|page| {
                        expected
                            .get(&page)
                            .is_some_and(|page| page.0 != Access::NONE)
                    });
                    assert_eq!(
                        space.prepare(&model, at, length, Access::READ).is_ok(),
                        readable
                    );
                    if readable {
                        for page in range {
                            assert_eq!(model.get(page), expected.get(&page).copied());
                        }
                    }
                }
            }
        }
        // What others may write to is there wherever it can be accessed.
        for page in model.2.borrow().iter().flatten() {
            let access = expected.get(page).map(|page| page.0);
            assert!(matches!(access, None | Some(Access::NONE)), "{page:#x}");
        }
        let uses = |at: u64, access| access != Access::NONE || model.get(at).is_some();
        let used = expected.iter().filter(|(at, page)| uses(**at, page.0));
        assert_eq!(asked_for(&space), used.count() as u64 * PAGE);
    }
}
