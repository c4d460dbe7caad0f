use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;

fn name(text: &str) -> &OsStr {
    OsStr::new(text)
}

/// What each of many cuts leaves.
fn cuts(volume: &Volume) -> impl Iterator<Item = Volume> {
    (0..200).map(|seed| {
        let mut volume = volume.clone();
        volume.cut(|_| Tearing::Any, &mut StdRng::seed_from_u64(seed));
        volume
    })
}

fn content(volume: &Volume, path: &str) -> Option<Vec<u8>> {
    let tree = volume.tree();
    let (_, bytes) = tree.iter().find(|(found, _)| found.as_os_str() == path)?;
    bytes.map(<[u8]>::to_vec)
}

fn write(volume: &mut Volume, folder: Ino, file: &str, bytes: &[u8], synced: bool) -> Ino {
    let ino = volume.make(folder, name(file), false).unwrap().ino;
    let body = volume.body_mut(ino).unwrap();
    body.write(0, bytes);
    if synced {
        body.sync();
    }
    ino
}

#[test]
fn a_file_is_there_for_certain_only_with_its_bytes_and_its_name_synced() {
    let (mut both, mut bytes, mut named) =
        (Volume::default(), Volume::default(), Volume::default());
    write(&mut both, ROOT, "f", b"x", true);
    both.sync_folder(ROOT);
    write(&mut bytes, ROOT, "f", b"x", true);
    write(&mut named, ROOT, "f", b"x", false);
    named.sync_folder(ROOT);
    assert!(cuts(&both).all(|left| content(&left, "f").unwrap() == b"x"));
    assert!(cuts(&bytes).any(|left| content(&left, "f").is_none()));
    assert!(cuts(&bytes).filter_map(|left| content(&left, "f")).all(|found| found == b"x"));
    assert!(cuts(&named).all(|left| content(&left, "f").is_some()));
    assert!(cuts(&named).any(|left| content(&left, "f").unwrap().is_empty()));
}

#[test]
fn a_folder_whose_name_is_lost_takes_what_is_in_it() {
    let mut volume = Volume::default();
    let folder = volume.make(ROOT, name("d"), true).unwrap().ino;
    write(&mut volume, folder, "f", b"x", true);
    volume.sync_folder(folder);
    let (with, without): (Vec<_>, Vec<_>) =
        cuts(&volume).partition(|left| left.find(ROOT, name("d")).is_ok());
    assert!(!with.is_empty() && !without.is_empty());
    assert!(with.iter().all(|left| content(left, "d/f").unwrap() == b"x"));
    assert!(without.iter().all(|left| left.tree().is_empty()));
}

#[test]
fn replacing_a_file_by_rename_leaves_the_old_or_the_new_whole() {
    let mut volume = Volume::default();
    write(&mut volume, ROOT, "f", b"old", true);
    volume.sync_folder(ROOT);
    write(&mut volume, ROOT, "f.new", b"new", true);
    volume.rename((ROOT, name("f.new")), (ROOT, name("f"))).unwrap();
    for left in cuts(&volume) {
        let found = content(&left, "f").unwrap();
        assert!(found == b"old" || found == b"new", "{found:?}");
    }
    volume.sync_folder(ROOT);
    assert!(cuts(&volume).all(|left| content(&left, "f").unwrap() == b"new"));
}

#[test]
fn an_open_file_outlives_its_name_and_a_closed_one_does_not() {
    let mut volume = Volume::default();
    let ino = write(&mut volume, ROOT, "f", b"x", true);
    volume.sync_folder(ROOT);
    volume.open(ino).unwrap();
    volume.remove(ROOT, name("f"), false).unwrap();
    volume.sync_folder(ROOT);
    assert_eq!(volume.body(ino).unwrap().live(), b"x");
    volume.close(ino);
    assert_eq!(volume.body(ino).err(), Some(Refused::Absent));
}

#[test]
fn a_path_follows_renames_of_the_file_and_of_its_folder() {
    let mut volume = Volume::default();
    let folder = volume.make(ROOT, name("d"), true).unwrap().ino;
    let file = write(&mut volume, folder, "f", b"x", true);
    volume.rename((folder, name("f")), (folder, name("g"))).unwrap();
    volume.rename((ROOT, name("d")), (ROOT, name("e"))).unwrap();
    assert_eq!(volume.path(file), PathBuf::from("e/g"));
}

#[test]
fn what_posix_refuses_is_refused() {
    let mut volume = Volume::default();
    let folder = volume.make(ROOT, name("d"), true).unwrap().ino;
    let file = write(&mut volume, folder, "f", b"x", true);
    assert_eq!(volume.make(folder, name("f"), false), Err(Refused::Taken));
    assert_eq!(volume.remove(ROOT, name("d"), true), Err(Refused::NotEmpty));
    assert_eq!(volume.remove(ROOT, name("d"), false), Err(Refused::IsFolder));
    assert_eq!(volume.remove(folder, name("f"), true), Err(Refused::NotFolder));
    assert_eq!(volume.find(folder, name("g")), Err(Refused::Absent));
    assert_eq!(volume.link(file, folder, name("g")).unwrap().links, 2);
    volume.remove(folder, name("f"), false).unwrap();
    assert_eq!(content(&volume, "d/g").unwrap(), b"x");
}
