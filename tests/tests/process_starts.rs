//! Servers that must not start: one clear message that names the thing, exit code 1, no stack.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall fail there")]

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};
use tollgate_tests::process::{Install, Ran, local_provider, model_file, program};

/// The user that owns nothing (`nobody` on every Linux).
const NOBODY: u32 = 65534;

async fn refused(install: &Install, words: &[&str]) {
    let ran = install.tollgate(&["serve"]).await;
    assert_eq!(ran.out, "", "nothing was announced");
    ran.failed_with(1, words);
    let said = ran.err.lines().filter(|line| line.starts_with("tollgate: ")).count();
    assert_eq!(said, 1, "one message: {}", ran.err);
}

#[tokio::test]
async fn a_wrong_configuration_is_told_with_place_and_suggestion() {
    let install = Install::new("");
    let openai = "[[providers]]\nname = \"o\"\nkind = \"openai\"\n";
    for (text, words) in [
        (
            "\n[server]\nlisen = \"127.0.0.1:0\"\n",
            &["tollgate.toml", "line 3", "lisen", "did you mean `listen`?"][..],
        ),
        ("[servre]\n", &["tollgate.toml", "line 1", "servre", "did you mean `server`?"]),
        ("[server\n", &["tollgate.toml", "line 1"]),
        ("[server]\nlisten = 8787\n", &["tollgate.toml", "line 2", "string"]),
        ("[server]\nlisten = \"everywhere\"\n", &["server.listen", "everywhere", "127.0.0.1:8787"]),
        ("[server]\ndrain_seconds = -1\n", &["tollgate.toml", "line 2", "-1"]),
        ("[store]\nurl = \"mysql://x\"\n", &["store.url", "mysql", "sqlite:"]),
        (openai, &["\"o\"", "OPENAI_API_KEY"]),
        (&format!("{openai}api_key_env = \"NO_SUCH_VARIABLE\"\n"), &["\"o\"", "NO_SUCH_VARIABLE"]),
        (&format!("{openai}api_key_file = \"no/such/file\"\n"), &["\"o\"", "no/such/file"]),
        (
            "[[providers]]\nname = \"l\"\nkind = \"lama\"\n",
            &["line 3", "lama", "did you mean `llama`?"],
        ),
        (
            "[[prices]]\nmodel = \"o/m\"\ninput = \"cheap\"\noutput = \"1\"\n",
            &["prices", "o/m", "cheap"],
        ),
    ] {
        install.configure(text);
        refused(&install, words).await;
    }
}

#[tokio::test]
async fn a_configuration_file_that_was_named_must_be_there() {
    let install = Install::new("");
    let ran = install.tollgate(&["--config", "elsewhere.toml", "serve"]).await;
    ran.failed_with(1, &["elsewhere.toml", "No such file"]);
    let ran = install.tollgate(&["--config", ".", "serve"]).await;
    ran.failed_with(1, &["configuration file .", "directory"]);
    let mut command = install.command(program("tollgate"));
    command.arg("serve").env("TOLLGATE_SERVER__PORT", "1");
    install.run(command).await.failed_with(1, &["TOLLGATE_SERVER__PORT", "port"]);
}

#[tokio::test]
async fn a_model_file_that_is_missing_or_damaged_is_named() {
    let install = Install::new("");
    let path = install.path("broken.gguf");
    let start = |text: &str| format!("[server]\nlisten = \"127.0.0.1:0\"\n\n{text}");
    install.configure(&start(&local_provider(&path)));
    let missing = ["\"local\"", "broken.gguf", "does not exist"];
    refused(&install, &missing).await;

    let whole = fs::read(model_file()).unwrap();
    let third = whole.len() / 3;
    let garbled: Vec<u8> = whole.iter().take(third).map(|byte| byte ^ 0x5a).collect();
    let magic_only = [b"GGUF".as_slice(), &[0xff; 4096]].concat();
    for contents in
        [&b""[..], b"not a model", &magic_only, &garbled, &whole[..third], &whole[..100]]
    {
        fs::write(&path, contents).unwrap();
        refused(&install, &["\"local\"", "broken.gguf"]).await;
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refused(&install, &["\"local\"", "broken.gguf"]).await;
}

#[tokio::test]
async fn a_database_that_is_none_is_named() {
    let install = Install::new("");
    fs::create_dir(install.path("data")).unwrap();
    let database = install.path("data/tollgate.db");
    fs::write(&database, "this is no database, it is a letter to a friend. ".repeat(400)).unwrap();
    refused(&install, &["data/tollgate.db", "not a database"]).await;
    let text = fs::read_to_string(&database).unwrap();
    assert!(text.starts_with("this is no database"), "a stranger's file was changed");

    fs::remove_file(&database).unwrap();
    fs::create_dir(&database).unwrap();
    refused(&install, &["data/tollgate.db"]).await;

    fs::remove_dir(&database).unwrap();
    fs::remove_dir_all(install.path("data")).unwrap();
    fs::write(install.path("data"), "a file where the folder should be").unwrap();
    refused(&install, &["data"]).await;
}

#[tokio::test]
async fn a_damaged_database_is_named() {
    let install = Install::new("");
    install.user("alice").await;
    // A server that stops puts everything into the one file.
    let server = install.serve().await;
    server.terminate().await;
    assert_eq!(server.ended().await, Some(0));
    let database = install.path("data/tollgate.db");
    let mut bytes = fs::read(&database).unwrap();
    for byte in bytes.iter_mut().skip(100).step_by(3) {
        *byte = !*byte;
    }
    fs::write(&database, bytes).unwrap();
    refused(&install, &["data/tollgate.db", "damaged"]).await;
}

/// Runs `tollgate serve` as somebody who may read everything here and write nothing.
async fn serve_as_reader(install: &Install) -> Ran {
    let is_root = fs::metadata(install.path("")).unwrap().uid() == 0;
    // The build folder may be closed to others.
    let copy = install.path("tollgate");
    fs::copy(program("tollgate"), &copy).unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    mode(&copy, 0o755);
    for file in fs::read_dir(install.path("data")).unwrap() {
        mode(&file.unwrap().path(), 0o444);
    }
    mode(&install.path("data"), 0o555);
    mode(&install.path(""), 0o555);
    let mut command = install.command(&copy);
    if is_root {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.arg("serve");
    let ran = install.run(command).await;
    // So that the folder can be removed by its owner.
    mode(&install.path("data"), 0o755);
    mode(&install.path(""), 0o755);
    ran
}

#[tokio::test]
async fn a_database_that_cannot_be_written_is_named() {
    let install = Install::new("");
    install.user("alice").await;
    serve_as_reader(&install).await.failed_with(1, &["data/tollgate.db", "cannot be written"]);
}

#[tokio::test]
async fn a_folder_in_which_no_database_can_be_made_is_named() {
    let install = Install::new("[store]\nurl = \"sqlite:data/new/tollgate.db\"");
    fs::create_dir(install.path("data")).unwrap();
    serve_as_reader(&install).await.failed_with(1, &["data/new", "ermission denied"]);
    let install = Install::new("[store]\nurl = \"sqlite:data/new.db\"");
    fs::create_dir(install.path("data")).unwrap();
    serve_as_reader(&install).await.failed_with(1, &["data/new.db"]);
}
