//! Pages that nobody has any more.

use alloc::vec::Vec;
use core::{mem, ops::Range};

/// Pages of private memory that were used and are free: numbers from 0 on.
///
/// Blocks of them that are free as a whole can be returned to the host. They can be taken like any others, but
/// the first page of one is taken with the rest of it: the host may have something else for all of them.
#[derive(Debug)]
pub struct FreePages {
    blocks: Vec<Block>,
    /// All blocks from here on have no free page.
    end: usize,
    /// Blocks that are free as a whole, and not returned.
    whole: usize,
}

#[derive(Debug, Clone, Copy)]
struct Block {
    /// A bit for each page that is free.
    free: [u64; BLOCK_PAGES as usize / 64],
    is_returned: bool,
}

/// Pages of a block.
pub const BLOCK_PAGES: u64 = 512;

impl Block {
    const TAKEN: Self = Self {
        free: [0; _],
        is_returned: false,
    };

    const RETURNED: Self = Self {
        free: [u64::MAX; _],
        is_returned: true,
    };

    fn is_whole(&self) -> bool {
        self.free == [u64::MAX; _]
    }
}

impl FreePages {
    /// No pages, nor room for any.
    pub const NONE: Self = Self {
        blocks: Vec::new(),
        end: 0,
        whole: 0,
    };

    /// No pages, and room for so many blocks.
    #[must_use]
    pub fn new(blocks: usize) -> Self {
        Self {
            blocks: alloc::vec![Block::TAKEN; blocks],
            ..Self::NONE
        }
    }

    /// Adds a page that there is room for.
    pub fn insert(&mut self, page: u64) {
        let at = (page / BLOCK_PAGES) as usize;
        let block = &mut self.blocks[at];
        block.free[(page % BLOCK_PAGES / 64) as usize] |= 1 << (page % 64);
        self.whole += usize::from(block.is_whole());
        self.end = self.end.max(at + 1);
    }

    /// Takes the last page, and says whether it is the first one of a block that was returned.
    pub fn take(&mut self) -> Option<(u64, bool)> {
        while let Some(at) = self.end.checked_sub(1) {
            let block = &mut self.blocks[at];
            if let Some(word) = block.free.iter().rposition(|word| *word != 0) {
                let was_returned = mem::take(&mut block.is_returned);
                self.whole -= usize::from(block.is_whole() && !was_returned);
                let bit = block.free[word].ilog2();
                block.free[word] &= !(1 << bit);
                let page = at as u64 * BLOCK_PAGES + 64 * word as u64 + u64::from(bit);
                return Some((page, was_returned));
            }
            self.end = at;
        }
        None
    }

    /// Blocks, one behind the other, to be returned: none as long as there are not `many`, and never the
    /// last `kept` ones. Nobody can take them until they are put back.
    pub fn surplus(&mut self, many: usize, kept: usize) -> Option<Range<u64>> {
        if self.whole < many.max(kept + 1) {
            return None;
        }
        let most = self.whole - kept;
        let can_go = |block: &Block| block.is_whole() && !block.is_returned;
        let start = self.blocks.iter().position(can_go)?;
        let blocks = self.blocks[start..].iter_mut();
        let mut end = start;
        for block in blocks.take(most).take_while(|block| can_go(block)) {
            *block = Block::TAKEN;
            end += 1;
        }
        self.whole -= end - start;
        Some(start as u64 * BLOCK_PAGES..end as u64 * BLOCK_PAGES)
    }

    /// Puts back blocks that were returned.
    pub fn put_back(&mut self, pages: Range<u64>) {
        let blocks = (pages.start / BLOCK_PAGES) as usize..(pages.end / BLOCK_PAGES) as usize;
        self.end = self.end.max(blocks.end);
        self.blocks[blocks].fill(Block::RETURNED);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const BLOCKS: u64 = 8;

    fn block(number: u64) -> Range<u64> {
        number * BLOCK_PAGES..(number + 1) * BLOCK_PAGES
    }

    fn free(pages: impl IntoIterator<Item = u64>) -> FreePages {
        let mut free = FreePages::new(BLOCKS as usize);
        pages.into_iter().for_each(|page| free.insert(page));
        free
    }

    #[test]
    fn pages_are_taken_from_the_end_and_once() {
        let mut free = free([3, 70, 5 * BLOCK_PAGES, 2]);
        let taken: Vec<_> = core::iter::from_fn(|| free.take()).collect();
        assert_eq!(taken, [5 * BLOCK_PAGES, 70, 3, 2].map(|page| (page, false)));
        free.insert(3);
        assert_eq!((free.take(), free.take()), (Some((3, false)), None));
        assert_eq!(FreePages::new(0).take(), None);
    }

    #[test]
    fn whole_blocks_are_returned_but_for_the_last_ones() {
        let blocks = [1, 2, 3, 5, 6];
        let mut free = free(blocks.into_iter().flat_map(block));
        free.insert(block(4).start);
        assert_eq!(free.surplus(6, 2), None, "not so many");
        assert_eq!(
            free.surplus(5, 1),
            Some(block(1).start..block(3).end),
            "as many as lie together"
        );
        assert_eq!(free.surplus(1, 1), Some(block(5)));
        assert_eq!(free.surplus(1, 1), None);
        // They cannot be taken meanwhile.
        assert_eq!(free.take(), Some((block(6).end - 1, false)));
        free.insert(block(6).end - 1);
        free.put_back(block(1).start..block(3).end);
        free.put_back(block(5));
        // They can be taken then, each once as a whole, and are returned again only when they are whole again.
        let taken: BTreeMap<_, _> = core::iter::from_fn(|| free.take()).collect();
        assert_eq!(taken.len() as u64, 5 * BLOCK_PAGES + 1);
        let returned = taken.into_iter().filter(|(_, was_returned)| *was_returned);
        let returned: Vec<_> = returned.map(|(page, _)| page).collect();
        assert_eq!(returned, [1, 2, 3, 5].map(|number| block(number).end - 1));
        block(1).skip(1).for_each(|page| free.insert(page));
        assert_eq!(free.surplus(1, 0), None);
        free.insert(block(1).start);
        assert_eq!(free.surplus(1, 0), Some(block(1)));
        assert_eq!(free.surplus(1, 0), None);
    }
}
