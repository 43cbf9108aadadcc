//! What a tree consists of, found out before anything is written.

use git2::{ObjectType, Odb, Oid};

use super::{Left, attributes, image, names};

/// More files than this, or directories deeper than that, are left to git: a tree of a few
/// kilobytes can stand for billions.
const MOST: usize = 1_000_000;
const DEEPEST: usize = 128;
const LONGEST: usize = 3000;

pub(super) const LINK: u32 = 0o120_000;
pub(super) const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;
const TREE: u32 = 0o40_000;
const ATTRIBUTES: &[u8] = b".gitattributes";

/// All files of a tree, in the order of the index.
pub(super) struct Plan {
    pub(super) root: Directory,
    /// The index's entries, one after the other.
    pub(super) image: Vec<u8>,
    pub(super) count: usize,
    /// Files that follow each other in one directory.
    pub(super) runs: Vec<Run>,
}

/// A tree and those in it.
pub(super) struct Directory {
    pub(super) name: Vec<u8>,
    pub(super) id: Oid,
    /// How many files are in it and below.
    pub(super) count: usize,
    pub(super) inside: Vec<Directory>,
}

pub(super) struct Run {
    /// The directory's path, without a slash at its end.
    pub(super) directory: Vec<u8>,
    /// How many bytes of the image it is.
    pub(super) bytes: usize,
}

/// A directory is cut into runs of at most so many bytes of the index, for the threads to share.
const RUN: usize = 64 * 1024;

pub(super) fn plan(odb: &Odb<'_>, root: Oid) -> Result<Plan, Left> {
    let mut walk = Walk { odb, image: Vec::new(), count: 0, runs: Vec::new() };
    let mut path = Vec::new();
    let root = walk.directory(root, Vec::new(), &mut path, 0)?;
    Ok(Plan { root, image: walk.image, count: walk.count, runs: walk.runs })
}

struct Walk<'a, 'b> {
    odb: &'a Odb<'b>,
    image: Vec<u8>,
    count: usize,
    runs: Vec<Run>,
}

impl Walk<'_, '_> {
    fn directory(
        &mut self,
        id: Oid,
        name: Vec<u8>,
        path: &mut Vec<u8>,
        depth: usize,
    ) -> Result<Directory, Left> {
        if depth > DEEPEST || path.len() > LONGEST {
            return Err(Left::odd("its directories are very deep"));
        }
        let object = self.odb.read(id)?;
        if object.kind() != ObjectType::Tree {
            return Err(Left::odd("what should be a tree is something else"));
        }
        let (before, own) = (self.count, path.len());
        let mut inside = Vec::new();
        let mut last: Option<Item<'_>> = None;
        let mut rest = object.data();
        // Files go on in the run that this directory began, until another one comes between.
        let mut run = None;
        while !rest.is_empty() {
            let (item, behind) = Item::read(rest)?;
            rest = behind;
            if last.is_some_and(|last| !last.precedes(&item)) {
                return Err(Left::odd("a tree is not in order"));
            }
            last = Some(item);
            if !names::is_plain(item.name, item.mode == LINK) {
                return Err(Left::odd("a name in it is odd"));
            }
            if own > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(item.name);
            match item.mode {
                TREE => {
                    run = None;
                    inside.push(self.directory(item.id()?, item.name.to_vec(), path, depth + 1)?);
                }
                FILE | PROGRAM | LINK => {
                    if item.name == ATTRIBUTES && !self.is_plain(item.id()?)? {
                        return Err(Left::odd("its attributes may change files"));
                    }
                    self.file(path, own, item, &mut run);
                }
                _ => return Err(Left::odd("there is a submodule in it, or an odd mode")),
            }
            path.truncate(own);
            if self.count > MOST {
                return Err(Left::odd("it has very many files"));
            }
        }
        // As git sorts them here.
        inside.sort_by(|one: &Directory, other| {
            (one.name.len(), &one.name).cmp(&(other.name.len(), &other.name))
        });
        Ok(Directory { name, id, count: self.count - before, inside })
    }

    fn file(&mut self, path: &[u8], own: usize, item: Item<'_>, run: &mut Option<usize>) {
        let start = self.image.len();
        image::push(&mut self.image, path, item.mode, item.id);
        self.count += 1;
        let added = self.image.len() - start;
        let last = run.and_then(|at| self.runs.get_mut(at)).filter(|run| run.bytes < RUN);
        if let Some(last) = last {
            last.bytes += added;
        } else {
            *run = Some(self.runs.len());
            self.runs.push(Run { directory: path[..own].to_vec(), bytes: added });
        }
    }

    fn is_plain(&self, id: Oid) -> Result<bool, Left> {
        let object = self.odb.read(id)?;
        Ok(object.kind() == ObjectType::Blob && attributes::are_plain(object.data()))
    }
}

/// One line of a tree.
#[derive(Clone, Copy)]
struct Item<'a> {
    mode: u32,
    name: &'a [u8],
    id: &'a [u8],
}

impl<'a> Item<'a> {
    fn read(text: &'a [u8]) -> Result<(Self, &'a [u8]), Left> {
        let cut = || Left::odd("a tree is cut short");
        let space = text.iter().position(|byte| *byte == b' ').ok_or_else(cut)?;
        let (mode, rest) = (&text[..space], &text[space + 1..]);
        let end = rest.iter().position(|byte| *byte == 0).ok_or_else(cut)?;
        let (name, rest) = (&rest[..end], &rest[end + 1..]);
        let (id, rest) = rest.split_at_checked(20).ok_or_else(cut)?;
        let mode =
            std::str::from_utf8(mode).ok().and_then(|mode| u32::from_str_radix(mode, 8).ok());
        Ok((Self { mode: mode.unwrap_or_default(), name, id }, rest))
    }

    fn id(&self) -> Result<Oid, Left> {
        Ok(Oid::from_bytes(self.id)?)
    }

    /// Whether it stands before the other in a sound tree, where directories are sorted as if a
    /// slash followed their names and no name is there twice.
    fn precedes(&self, other: &Self) -> bool {
        let end = |item: &Self| if item.mode == TREE { b'/' } else { 0 };
        let one = self.name.iter().copied().chain([end(self)]);
        let two = other.name.iter().copied().chain([end(other)]);
        self.name != other.name && one.lt(two)
    }
}
