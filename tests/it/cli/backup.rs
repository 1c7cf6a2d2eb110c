//! `backup` and `restore` of the embedded store.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{assert_failed, assert_printed};
use crate::harness::{PASSWORD, Program, Service};

/// Returns the addresses of all users in a copy, which must be readable without side files.
fn users(copy: &Path) -> Vec<String> {
    let uri = format!("file:{}?immutable=1", copy.display());
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(uri, flags).unwrap();
    let integrity =
        connection.query_row("pragma integrity_check", [], |row| row.get::<_, String>(0));
    assert_eq!(integrity.unwrap(), "ok");
    let mut emails = connection.prepare("select email from users order by email").unwrap();
    emails.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

async fn register(service: &Service, name: &str) {
    let registered = service.anonymous().register(&format!("{name}@example.com"), PASSWORD).await;
    assert_eq!(registered.status, 201, "{registered:?}");
}

async fn sign_in(service: &Service, name: &str) -> u16 {
    service.anonymous().login(&format!("{name}@example.com"), PASSWORD).await.status
}

/// Runs a service, registers these users, and stops it.
async fn with_users(names: &[&str]) -> Program {
    let program = Program::new();
    let service = program.serve(&["serve"]);
    for name in names {
        register(&service, name).await;
    }
    assert_eq!(service.end("TERM").code, Some(0));
    program
}

fn backed_up(program: &Program, copy: &str, users: &str) -> String {
    let path = program.folder().join(copy);
    format!(
        "Copied the database to {copy} and checked the copy: {users}, {} bytes.\n\
         Keep {} with it: without that secret, every user has to sign in again.\n\
         Keep {} with it, too: without that key, every user has to connect Discogs again.\n",
        fs::metadata(path).unwrap().len(),
        program.data("jwt-secret").display(),
        program.data("master-key").display()
    )
}

fn restored(program: &Program, users: &str, kept: Option<&str>) -> String {
    let kept = kept.map(|name| {
        format!("The previous database is kept as {}.\n", program.data(name).display())
    });
    format!(
        "Restored {}: {users}.\n{}No user has to sign in again if {} is the one of the backup.\n\
         No user has to connect Discogs again if {} is the one of the backup.\n",
        program.data("discogsography.db").display(),
        kept.unwrap_or_default(),
        program.data("jwt-secret").display(),
        program.data("master-key").display()
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_running_service_has_every_acknowledged_write() {
    let program = Program::new();
    let service = program.serve(&["serve"]);
    register(&service, "alice").await;
    let copied = program.run(&["backup", "copy.db"]);
    assert_printed(&copied, &backed_up(&program, "copy.db", "1 user"));
    let copy = program.folder().join("copy.db");
    assert_eq!(users(&copy), ["alice@example.com"]);
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o7777, 0o600);

    register(&service, "bob").await;
    let refused = "error: copy.db exists: choose another name, or use --force to replace it";
    assert_failed(&program.run(&["backup", "copy.db"]), 1, refused);
    assert_eq!(users(&copy), ["alice@example.com"]);
    let copied = program.run(&["backup", "--force", "copy.db"]);
    assert_printed(&copied, &backed_up(&program, "copy.db", "2 users"));
    assert_eq!(users(&copy), ["alice@example.com", "bob@example.com"]);
    let names: Vec<_> = fs::read_dir(program.folder()).unwrap().collect();
    assert_eq!(names.len(), 2, "only the copy and the data: {names:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_during_writes_is_consistent() {
    let program = Program::new().with("RATE_LIMITS", "off");
    let service = program.serve(&["serve"]);
    let (first, copies) = (service.anonymous(), 5);
    let writes = tokio::spawn(async move {
        for number in 0..30 {
            let email = format!("user-{number:02}@example.com");
            assert_eq!(first.register(&email, PASSWORD).await.status, 201);
        }
    });
    for number in 0..copies {
        let name = format!("copy-{number}.db");
        assert_eq!(program.run(&["backup", &name]).code, Some(0));
    }
    writes.await.unwrap();
    for number in 0..copies {
        let copy = users(&program.folder().join(format!("copy-{number}.db")));
        let expected = (0..copy.len()).map(|number| format!("user-{number:02}@example.com"));
        assert_eq!(copy, expected.collect::<Vec<_>>(), "a copy is a snapshot");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_written_to_stdout_and_restored_from_stdin() {
    let program = with_users(&["alice"]).await;
    let copy = program.folder().join("copy.db");
    let copied = program.run_into(&["backup", "-"], &copy);
    assert_eq!(copied.code, Some(0), "{copied:?}");
    assert_eq!(
        copied.stderr,
        backed_up(&program, "copy.db", "1 user").replace("to copy.db", "to stdout")
    );
    assert_eq!(users(&copy), ["alice@example.com"]);

    let new = Program::new();
    let outcome = new.run_from(&["restore", "-"], &copy);
    let output = format!(
        "Restored {}: 1 user.\n{} is missing: put the one of the backup there, or every user has to \
         sign in again.\n{} is missing: put the one of the backup there, or every user has to \
         connect Discogs again.\n",
        new.data("discogsography.db").display(),
        new.data("jwt-secret").display(),
        new.data("master-key").display()
    );
    assert_printed(&outcome, &output);
    let service = new.serve(&["serve"]);
    assert_eq!(sign_in(&service, "alice").await, 200);
}

#[test]
fn a_full_disk_of_the_output_is_not_reported_as_the_databases() {
    let program = Program::new();
    assert_eq!(program.run(&["migrate"]).code, Some(0));
    let error = "error: can't write the copy to the output: No space left on device (os error 28)";
    assert_failed(&program.run_into(&["backup", "-"], Path::new("/dev/full")), 1, error);
}

#[test]
fn force_replaces_no_symbolic_link() {
    let program = Program::new();
    assert_eq!(program.run(&["migrate"]).code, Some(0));
    let link = program.folder().join("copy.db");
    for target in ["file", "missing"] {
        fs::write(program.folder().join("file"), "kept").unwrap();
        std::os::unix::fs::symlink(target, &link).unwrap();
        let error = "error: copy.db is a symbolic link, which is not replaced: choose another name";
        assert_failed(&program.run(&["backup", "--force", "copy.db"]), 1, error);
        assert_eq!(fs::read_link(&link).unwrap(), Path::new(target));
        fs::remove_file(&link).unwrap();
    }
    assert_eq!(fs::read(program.folder().join("file")).unwrap(), b"kept");
}

#[test]
fn without_a_database_no_backup_is_made() {
    let program = Program::new();
    let path = program.data("discogsography.db");
    let error = format!("error: there is no database at {}: is DATA_DIR right?", path.display());
    for target in ["copy.db", "-"] {
        assert_failed(&program.run(&["backup", target]), 1, &error);
        assert!(program.left_nothing(), "{target}");
    }
    drop(program.serve(&["serve"]));
    fs::remove_file(&path).unwrap();
    let before = program.data_names();
    for target in ["copy.db", "-"] {
        let outcome = program.run(&["backup", target]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""), "{outcome:?}");
        assert!(outcome.stderr.contains("is missing, though"), "{outcome:?}");
        assert_eq!(program.data_names(), before, "{target}");
    }
    let nowhere = program.run(&["backup", "nowhere/copy.db"]);
    assert_eq!(nowhere.code, Some(1), "{nowhere:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_never_replaces_a_file_of_the_service() {
    let program = with_users(&["alice"]).await;
    fs::hard_link(program.data("discogsography.db"), program.folder().join("link.db")).unwrap();
    let before = fs::read(program.data("discogsography.db")).unwrap();
    let names = [
        "data/discogsography.db",
        "data/../data/discogsography.db-wal",
        "data/discogsography.db-shm",
        "data/discogsography.lock",
        "data/jwt-secret",
        "data/first-start",
        "link.db",
    ];
    for name in names {
        let error = format!("error: {name} is a file of the service itself: choose another name");
        assert_failed(&program.run(&["backup", "--force", name]), 1, &error);
    }
    assert_eq!(fs::read(program.data("discogsography.db")).unwrap(), before);
    let folder = program.run(&["backup", "--force", "data"]);
    assert_failed(&folder, 1, "error: data is a directory, not a regular file: move it away");
    assert_eq!(program.run(&["backup", "--force", "/dev/null"]).code, Some(1));
}

#[test]
fn a_backup_of_postgresql_is_left_to_its_own_tools() {
    let program = Program::new()
        .with("POSTGRES_ADDRESS", "db.example.com")
        .with("POSTGRES_USERNAME", "digger")
        .with("POSTGRES_PASSWORD", "p4ssword-of-digger")
        .with("POSTGRES_DATABASE", "discogsography")
        .with("REDIS_URL", "redis://cache.example.com")
        .with("JWT_SECRET_KEY", "0123456789abcdef0123456789abcdef");
    for (arguments, instead) in [
        (["backup", "copy.db"], "`pg_dump`"),
        (["backup", "-"], "`pg_dump`"),
        (["restore", "copy.db"], "`pg_restore` or `psql`"),
    ] {
        let error = format!(
            "error: this works only with the embedded store: with PostgreSQL, use {instead} \
             (docs/operations/backup.md)"
        );
        assert_failed(&program.run(&arguments), 2, &error);
        assert!(program.left_nothing());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_replaces_the_database_and_keeps_the_old_one() {
    let program = with_users(&["alice"]).await;
    assert_eq!(program.run(&["backup", "copy.db"]).code, Some(0));
    let service = program.serve(&["serve"]);
    register(&service, "bob").await;
    let error = format!(
        "error: another service runs on {}: stop it, or use another folder",
        program.data("discogsography.db").display()
    );
    assert_failed(&program.run(&["restore", "copy.db"]), 1, &error);
    assert_eq!(sign_in(&service, "bob").await, 200);
    // The last writes are only in the `-wal` file.
    assert_eq!(service.end("KILL").code, None);

    let outcome = program.run(&["restore", "copy.db"]);
    assert_printed(&outcome, &restored(&program, "1 user", Some("discogsography.db.old-1")));
    let mode = fs::metadata(program.data("discogsography.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let (database, kept) = ("discogsography.db", "discogsography.db.old-1");
    let names = [database, kept, "discogsography.lock", "jwt-secret", "master-key"];
    assert_eq!(program.data_names(), names);
    let service = program.serve(&["serve"]);
    assert_eq!((sign_in(&service, "alice").await, sign_in(&service, "bob").await), (200, 401));
    assert_eq!(service.end("TERM").code, Some(0));

    let back = program.run(&["restore", "data/discogsography.db.old-1"]);
    assert_printed(&back, &restored(&program, "2 users", Some("discogsography.db.old-2")));
    let service = program.serve(&["serve"]);
    assert_eq!((sign_in(&service, "alice").await, sign_in(&service, "bob").await), (200, 200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_copy_is_restored_with_its_wal() {
    let program = Program::new();
    let service = program.serve(&["serve"]);
    register(&service, "alice").await;
    assert_eq!(service.end("KILL").code, None);
    for ending in ["", "-wal"] {
        let from = program.data(&format!("discogsography.db{ending}"));
        fs::copy(from, program.folder().join(format!("copy.db{ending}"))).unwrap();
    }
    let new = Program::new();
    let copy = program.folder().join("copy.db");
    let outcome = new.run(&["restore", copy.to_str().unwrap()]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(new.data_names(), ["discogsography.db", "discogsography.lock"]);
    assert_eq!(sign_in(&new.serve(&["serve"]), "alice").await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_backup_is_refused_and_changes_nothing() {
    let program = with_users(&["alice"]).await;
    assert_eq!(program.run(&["backup", "good.db"]).code, Some(0));
    let folder = program.folder();
    let good = fs::read(folder.join("good.db")).unwrap();
    fs::write(folder.join("text.db"), "no database at all, but a text that is longer").unwrap();
    fs::write(folder.join("empty.db"), "").unwrap();
    let (mut torn, half) = (good.clone(), good.len() / 2);
    torn[half..].fill(0xA5);
    fs::write(folder.join("torn.db"), torn).unwrap();
    fs::write(folder.join("short.db"), &good[..half]).unwrap();
    let other = Connection::open(folder.join("other.db")).unwrap();
    other.execute_batch("create table users (id integer, name text)").unwrap();
    other.close().unwrap();

    let before = (program.data_names(), fs::read(program.data("discogsography.db")).unwrap());
    let foreign = |name: &str| format!("error: {name} is not a database of this service");
    for name in ["text.db", "empty.db", "other.db"] {
        assert_failed(&program.run(&["restore", name]), 1, &foreign(name));
    }
    for name in ["torn.db", "short.db"] {
        let refused = program.run(&["restore", name]);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{refused:?}");
        assert!(refused.stderr.contains(&format!("{name} is damaged: ")), "{refused:?}");
    }
    let stdin = program.run_with_input(&["restore", "-"], "no database at all, but a text");
    assert_failed(&stdin, 1, &foreign("the input"));
    let itself = program.run(&["restore", "data/discogsography.db"]);
    let error =
        "error: data/discogsography.db is a file of the service itself: choose another name";
    assert_failed(&itself, 1, error);
    assert_eq!(program.run(&["restore", "nowhere.db"]).code, Some(1));
    assert_eq!(program.run(&["restore", "data"]).code, Some(1));
    let after = (program.data_names(), fs::read(program.data("discogsography.db")).unwrap());
    assert_eq!(before, after);

    // A refused restore leaves no trace in a new folder.
    let new = Program::new();
    let text = folder.join("text.db");
    assert_eq!(new.run(&["restore", text.to_str().unwrap()]).code, Some(1));
    assert_eq!(new.serve(&["serve"]).end("TERM").code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_or_damaged_database_is_restored() {
    let damages: [fn(&Path); 3] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::write(path, "").unwrap(),
        |path| fs::write(path, "no database at all, but a text that is longer").unwrap(),
    ];
    for damage in damages {
        let program = with_users(&["alice"]).await;
        assert_eq!(program.run(&["backup", "copy.db"]).code, Some(0));
        damage(&program.data("discogsography.db"));
        let outcome = program.run(&["restore", "copy.db"]);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        let service = program.serve(&["serve"]);
        assert_eq!(sign_in(&service, "alice").await, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_an_older_or_newer_schema_is_restored() {
    let program = with_users(&["alice"]).await;
    for (change, applied) in [
        ("drop table known_addresses; delete from api_migrations where number = 4", true),
        ("insert into api_migrations (number, name) values (9999, 'sleeves')", false),
    ] {
        assert_eq!(program.run(&["backup", "--force", "copy.db"]).code, Some(0));
        let copy = Connection::open(program.folder().join("copy.db")).unwrap();
        copy.execute_batch(change).unwrap();
        copy.close().unwrap();
        assert_eq!(program.run(&["restore", "copy.db"]).code, Some(0));
        let service = program.serve(&["serve"]);
        assert_eq!(sign_in(&service, "alice").await, 200);
        let log = service.end("TERM").stderr;
        assert_eq!(log.contains("💾 Applied a migration"), applied, "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sandbox_is_backed_up_separately() {
    let program = Program::new();
    let port = crate::harness::free_port().to_string();
    let service = program.serve(&["serve", "--sandbox", "--sandbox-port", &port]);
    register(&service, "alice").await;
    assert_eq!(program.run(&["backup", "--sandbox", "copy.db"]).code, Some(0));
    assert_eq!(users(&program.folder().join("copy.db")), ["alice@example.com"]);
    assert_eq!(program.run(&["backup", "real.db"]).code, Some(1));
    assert_eq!(program.run(&["restore", "--sandbox", "copy.db"]).code, Some(1));
    assert_eq!(program.run(&["restore", "copy.db"]).code, Some(0), "the real store is not in use");
}
