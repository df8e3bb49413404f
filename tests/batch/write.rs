//! Whole files: all or nothing, never over a file that nobody said to overwrite.

use std::io::{Seek, SeekFrom, Write};

use batch::{FileSet, WriteError, write_bytes, write_whole};

use crate::names_in;

#[test]
fn a_file_is_written_whole_and_not_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/deep/a.txt");
    assert_eq!(write_bytes(&path, b"one", false).unwrap(), 3);
    let refused = write_bytes(&path, b"two", false).unwrap_err();
    assert!(matches!(&refused, WriteError::Exists(there) if *there == path));
    assert_eq!(
        refused.to_string(),
        format!("{} exists already: give another -o, or --force to overwrite it", path.display())
    );
    assert_eq!(std::fs::read(&path).unwrap(), b"one");
    write_bytes(&path, b"two", true).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"two");
    assert_eq!(names_in(folder.path()), ["new/deep/a.txt"]);
}

#[test]
fn the_writer_can_seek() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let size = write_whole(&path, false, |file| {
        file.write_all(b"....body")?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(b"head")
    });
    assert_eq!(size.unwrap(), 8);
    assert_eq!(std::fs::read(&path).unwrap(), b"headbody");
}

#[test]
fn a_failure_leaves_nothing_and_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wav");
    let failed = write_whole(&path, false, |file| {
        file.write_all(&[0; 100_000]).map_err(|error| error.to_string())?;
        Err("7 channels".to_string())
    });
    assert_eq!(failed.unwrap_err().to_string(), format!("cannot write {}: 7 channels", path.display()));
    assert!(names_in(folder.path()).is_empty());
}

#[test]
fn a_panic_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let panicked = std::panic::catch_unwind(|| {
        write_whole(&path, false, |_| -> std::io::Result<()> { panic!("on purpose") })
    });
    assert!(panicked.is_err());
    assert!(names_in(folder.path()).is_empty());
}

#[test]
fn a_folder_is_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let refused = write_bytes(folder.path(), b"x", true).unwrap_err();
    assert!(matches!(refused, WriteError::IsFolder(_)));
}

#[test]
fn a_set_is_all_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let [mid, wav, png] = ["a.mid", "a.wav", "a.png"].map(|name| folder.path().join(name));

    // Refused at once where a file exists ...
    std::fs::write(&wav, "mine").unwrap();
    let mut set = FileSet::new(false);
    set.add(&mid, |file| file.write_all(b"1")).unwrap();
    assert!(matches!(set.add(&wav, |file| file.write_all(b"2")), Err(WriteError::Exists(_))));
    drop(set);
    assert_eq!(names_in(folder.path()), ["a.wav"]);

    // ... and taken back where one appears while the others are being written.
    std::fs::remove_file(&wav).unwrap();
    let mut set = FileSet::new(false);
    for path in [&mid, &wav, &png] {
        set.add(path, |file| file.write_all(b"new")).unwrap();
    }
    assert!(!mid.exists() && !wav.exists() && !png.exists());
    std::fs::write(&wav, "mine").unwrap();
    assert!(matches!(set.commit(), Err(WriteError::Exists(path)) if path == wav));
    assert_eq!(names_in(folder.path()), ["a.wav"]);
    assert_eq!(std::fs::read(&wav).unwrap(), b"mine");

    let mut set = FileSet::new(true);
    for path in [&mid, &wav, &png] {
        set.add(path, |file| file.write_all(b"new")).unwrap();
    }
    let sizes = set.commit().unwrap();
    assert_eq!(sizes, [(mid, 3), (wav, 3), (png, 3)]);
    assert_eq!(names_in(folder.path()), ["a.mid", "a.png", "a.wav"]);
}

#[cfg(unix)]
#[test]
fn links_devices_and_permissions_are_as_with_an_ordinary_write() {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
    use std::path::Path;

    let folder = tempfile::tempdir().unwrap();
    let [real, link, plain] = ["real", "link", "plain"].map(|name| folder.path().join(name));
    write_bytes(&real, b"old", false).unwrap();
    symlink("real", &link).unwrap();
    assert!(matches!(write_bytes(&link, b"new", false), Err(WriteError::Exists(_))));
    write_bytes(&link, b"new", true).unwrap();
    assert!(link.is_symlink());
    assert_eq!(std::fs::read(&real).unwrap(), b"new");

    std::fs::write(&plain, "x").unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&real), mode(&plain));

    write_bytes(Path::new("/dev/null"), b"gone", false).unwrap();
    assert!(std::fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    #[cfg(target_os = "linux")]
    {
        let full = write_bytes(Path::new("/dev/full"), b"x", false).unwrap_err();
        assert_eq!(full.to_string(), "cannot write /dev/full: No space left on device (os error 28)");
    }
}
