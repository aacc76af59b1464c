use std::ffi::OsString;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::cli::{self, Command, MountArgs};

/// A system's file, a user's file, and variables.
struct Machine {
    dir: TempDir,
    places: SettingPlaces,
}

impl Machine {
    fn new() -> Machine {
        let dir = TempDir::new().unwrap();
        let files = ["user.toml", "system.toml"].map(|name| dir.path().join(name)).to_vec();
        Machine { dir, places: SettingPlaces { files, variables: BTreeMap::new() } }
    }

    fn user(self, text: &str) -> Machine {
        fs::write(&self.places.files[0], text).unwrap();
        self
    }

    fn system(self, text: &str) -> Machine {
        fs::write(&self.places.files[1], text).unwrap();
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Machine {
        self.places.variables.insert(name.into(), value.into());
        self
    }

    fn parse(&self, line: &[&str]) -> Result<Command, cli::ParseError> {
        let find =
            |asked: &SettingsAsked<'_>| self.places.find(asked).map_err(|error| error.to_string());
        cli::parse(line.iter().map(OsString::from), &find)
    }

    fn mount(&self, words: &[&str]) -> MountArgs {
        match self.parse(&[&["s3mem", "mount"], words].concat()).unwrap() {
            Command::Mount(args) => *args,
            other => panic!("{other:?}"),
        }
    }

    /// What is said in place of a mount, without the folder of the files.
    fn refusal(&self) -> String {
        let said = self.parse(&["s3mem", "mount", "b", "/mnt"]).unwrap_err().to_string();
        said.replace(&format!("{}/", self.dir.path().display()), "")
    }
}

const TEXTS: [&str; 4] = ["memory", "region", "metadata-ttl", "uid"];
const SWITCHES: [&str; 3] = ["verify", "requester-pays", "path-style"];
/// From the strongest to the weakest.
const SOURCES: [&str; 6] =
    ["typed", "variable", "user profile", "user", "system profile", "system"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_strongest_place_that_has_a_setting_wins(
        made in vec(option::weighted(0.4, 0_u8..4), (TEXTS.len() + SWITCHES.len()) * SOURCES.len()),
    ) {
        let names: Vec<&str> = TEXTS.into_iter().chain(SWITCHES).collect();
        let value_at = |name: usize, source: usize| {
            let drawn = made[name * SOURCES.len() + source]?;
            Some(match name < TEXTS.len() {
                true => format!("{}{drawn}", SOURCES[source].replace(' ', "")),
                false => (drawn % 2 == 0).to_string(),
            })
        };
        let lines = |source: usize| {
            let line = |name: usize| {
                let value = value_at(name, source)?;
                let value = if name < TEXTS.len() { format!("\"{value}\"") } else { value };
                Some(format!("{} = {value}\n", names[name]))
            };
            (0..names.len()).filter_map(line).collect::<String>()
        };
        let mut machine = Machine::new()
            .user(&format!("{}[profiles.p]\n{}", lines(3), lines(2)))
            .system(&format!("{}[profiles.p]\nbucket = \"b\"\n{}", lines(5), lines(4)));
        for (number, name) in names.iter().enumerate() {
            if let Some(value) = value_at(number, 1) {
                machine = machine.variable(&variable_of(name), &value);
            }
        }
        let typed: Vec<String> = (0..names.len())
            .filter_map(|name| Some(format!("--{}={}", names[name], value_at(name, 0)?)))
            .collect();
        let words: Vec<&str> =
            ["@p/x", "/mnt"].into_iter().chain(typed.iter().map(String::as_str)).collect();
        let args = machine.mount(&words);
        prop_assert_eq!(&args.source, "b/x");
        let texts = [&args.memory, &args.region, &args.metadata_ttl, &args.uid];
        let switches = [args.verify, args.requester_pays, args.path_style];
        for (name, flag) in names.iter().enumerate() {
            let source = (0..SOURCES.len()).find(|source| value_at(name, *source).is_some());
            let wanted = source.and_then(|source| value_at(name, source));
            match name.checked_sub(TEXTS.len()) {
                None => prop_assert_eq!(texts[name], &wanted, "{}", flag),
                Some(switch) => {
                    let wanted = wanted.as_deref() == Some("true");
                    prop_assert_eq!(switches[switch], wanted, "{}", flag);
                }
            }
            let given = args.given.iter().find(|given| given.name == *flag);
            let from = given.and_then(|given| given.from.clone());
            let place = match source {
                Some(1) => Some("the variable S3MEM_"),
                Some(2 | 3) => Some("/user.toml"),
                Some(4 | 5) => Some("/system.toml"),
                _ => None,
            };
            match (place, from) {
                // What is off is not among the flags.
                (Some(place), Some(from)) => prop_assert!(from.contains(place), "{}: {}", flag, from),
                (None, from) => prop_assert_eq!(from, None, "{}", flag),
                (Some(_), None) => prop_assert!(given.is_none(), "{}", flag),
            }
        }
    }
}

#[test]
fn a_profile_names_its_bucket_and_may_be_followed_by_a_prefix() {
    let machine = Machine::new()
        .user("[profiles.s2]\nbucket = \"s3://sentinel/tiles/\"\nrequester_pays = true\n");
    let args = machine.mount(&["@s2", "/mnt"]);
    assert!(args.source == "s3://sentinel/tiles/" && args.requester_pays);
    assert_eq!(machine.mount(&["@s2/10/S", "/mnt"]).source, "s3://sentinel/tiles/10/S");
    let args = machine.mount(&["sentinel", "/mnt"]);
    assert!(args.source == "sentinel" && !args.requester_pays);
}

#[test]
fn a_profile_that_is_not_there_is_named_with_those_that_are() {
    let machine = Machine::new()
        .user("[profiles.b]\nbucket = \"b\"\n[profiles.c]\n")
        .system("[profiles.a]\nbucket = \"a\"\n");
    let said = |source| machine.parse(&["s3mem", "mount", source, "/mnt"]).unwrap_err().to_string();
    let missing = said("@d");
    for part in ["no profile \"d\"", "only a, b, c", "[profiles.d]", "user.toml", "system.toml"] {
        assert!(missing.contains(part), "{part:?} is not in {missing}");
    }
    assert!(said("@c").contains("the profile \"c\" names no bucket"), "{}", said("@c"));
}

#[test]
fn what_can_not_be_meant_is_refused_with_its_line() {
    for (text, said) in [
        (
            "\nmemroy = \"1G\"\n",
            "line 2 of user.toml: there is no setting \"memroy\"; did you mean \"memory\"?",
        ),
        (
            "colour = 1\n",
            "line 1 of user.toml: there is no setting \"colour\"; 's3mem config show' shows all",
        ),
        ("bucket = \"b\"\n", "line 1 of user.toml: \"bucket\" belongs into a profile"),
        ("a = 1\nsecret_access_key = \"x\"\n", "there is no setting \"a\""),
        (
            "secret_access_key = \"x\"\n",
            "line 1 of user.toml: \"secret_access_key\" looks like a secret",
        ),
        (
            "[profiles.p]\naws-session-token = \"x\"\n",
            "line 2 of user.toml: \"aws-session-token\" looks like a secret",
        ),
        ("verify = \"yes\"\n", "line 1 of user.toml: verify is either true or false, not \"yes\""),
        ("memory = true\n", "line 1 of user.toml: memory takes a value, not true or false"),
        ("memory = [\"1G\"]\n", "line 1 of user.toml: memory takes a value, not a list"),
        (
            "memory-only = [1, []]\n",
            "line 1 of user.toml: memory-only takes a list of texts, not a list",
        ),
        (
            "log-level = \"loud\"\n",
            "line 1 of user.toml: log-level is one of error, warn, info, debug, trace, not \"loud\"",
        ),
        ("profiles = 1\n", "line 1 of user.toml: \"profiles\" has to be a table"),
        ("[profiles]\np = 1\n", "line 2 of user.toml: \"profiles.p\" has to be a table"),
        ("[profiles.\"a/b\"]\n", "line 1 of user.toml: \"a/b\" can't be the name of a profile"),
        ("[profiles.p]\nbucket = 1\n", "line 2 of user.toml: bucket takes a text, not this number"),
        ("verify = true\nmemory\n", "line 2 of user.toml: "),
        ("verify = true\nverify = true\n", "line 2 of user.toml: duplicate key"),
    ] {
        let found = Machine::new().user(text).refusal();
        assert!(found.starts_with(said) || found.contains(said), "{text:?}: {found}");
        assert_eq!(found.lines().count(), 1, "{found}");
    }
}

#[test]
fn a_variable_is_refused_by_name() {
    let refusal = |name, value| Machine::new().variable(name, value).refusal();
    assert_eq!(
        refusal("S3MEM_VERIFY", "maybe"),
        "the variable S3MEM_VERIFY: verify is either true or false, not maybe"
    );
    assert_eq!(
        refusal("S3MEM_MEMROY", "1G"),
        "the variable S3MEM_MEMROY is no setting; did you mean S3MEM_MEMORY?"
    );
    assert!(refusal("S3MEM_LOG_LEVEL", "loud").contains("one of error, warn"));
}

#[test]
fn variables_of_tests_and_scripts_are_no_settings() {
    let mut machine = Machine::new();
    for name in [
        "S3MEM_BLESS",
        "S3MEM_CACHE",
        "S3MEM_FUZZ_SECONDS",
        "S3MEM_MINIO",
        "S3MEM_MOUNT",
        "S3MEM_PROGRAM",
        "S3MEM_REQUIRE_FUSE",
        "S3MEM_REQUIRE_MINIO",
        "S3MEM_REQUIRE_PROGRAMS",
        "S3MEM_TEST_MINIO_URL",
        "S3MEM_TEST_PYTHON",
        "S3MEM_TOKEN",
    ] {
        machine = machine.variable(name, "1");
    }
    let args = machine.mount(&["b", "/mnt"]);
    assert!(args.given.is_empty(), "{:?}", args.given);
}

#[test]
fn values_arrive_as_they_would_be_typed() {
    let machine = Machine::new()
        .user("file-mode = 0o640\ndir_mode = 750\nmetadata-ttl = 1.5\nwrites = \"upload\"\n\
               memory-only = [\"*.aux.xml\", \".~lock*\"]\nlist-views = \"png\"\nlog-level = \"warn\"\n")
        .variable("S3MEM_ON_CLOSE", "later");
    let args = machine.mount(&["b", "/mnt"]);
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    assert_eq!((text(&args.file_mode), text(&args.dir_mode)), ("0o640".into(), "750".into()));
    assert_eq!(text(&args.metadata_ttl), "1.5");
    assert_eq!(args.writes.memory_only, ["*.aux.xml", ".~lock*"]);
    assert_eq!(text(&args.writes.on_close), "later");
    assert_eq!(args.log.log_level.all, cli::LogLevel::Warn);
    let args = machine.mount(&["b", "/mnt", "--memory-only=a", "--log-level=info"]);
    assert_eq!(args.writes.memory_only, ["a"]);
    assert_eq!(args.log.log_level.all, cli::LogLevel::Info);
}

#[test]
fn what_contradicts_what_was_typed_or_is_for_other_mounts_is_left_out() {
    let machine = Machine::new()
        .user("writes = \"upload\"\nallow-delete = true\nwrite-memory = \"1G\"\n")
        .system("read-only = true\nlisten = \"127.0.0.1:1\"\nrootless = \"if-needed\"\n");
    let args = machine.mount(&["b", "/mnt", "--read-only"]);
    assert!(args.read_only && args.writes.writes.is_none() && !args.writes.allow_delete);
    assert_eq!(args.writes.write_memory, None);
    let args = machine.mount(&["b", "/mnt"]);
    assert!(!args.read_only && args.writes.allow_delete && args.rootless.rootless.is_some());
    let args = machine.mount(&["b", "/mnt", "--writes=memory", "-f"]);
    assert!(!args.writes.allow_delete && args.rootless.rootless.is_none());
    assert_eq!(args.writes.write_memory.as_deref(), Some("1G"));
    match machine.parse(&["s3mem", "serve", "b"]).unwrap() {
        Command::Serve(args) => {
            assert_eq!(args.listen.listen.as_deref(), Some("127.0.0.1:1"));
            assert_eq!((args.mount.writes.writes, args.mount.read_only), (None, true));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_switch_is_turned_off_by_false_and_the_last_word_wins() {
    let machine = Machine::new().user("verify = true\nlist-views = true\n");
    let verify = |words: &[&str]| machine.mount(&[&["b", "/mnt"], words].concat()).verify;
    assert!(verify(&[]));
    for (words, is_on) in [
        (["--verify=false"].as_slice(), false),
        (&["--verify", "--verify=false"], false),
        (&["--verify=false", "--verify"], true),
        (&["--verify=true"], true),
        (&["-o", "verify=false"], false),
        (&["-o", "verify=false", "--verify"], true),
        (&["-o", "verify", "--verify=false"], false),
    ] {
        assert_eq!(verify(words), is_on, "{words:?}");
    }
    assert_eq!(machine.mount(&["b", "/mnt"]).views.list_views.as_deref(), Some("all"));
    assert_eq!(machine.mount(&["b", "/mnt", "--list-views=false"]).views.list_views, None);
}

#[test]
fn a_file_that_can_not_be_read_is_an_error_and_one_that_is_not_there_is_none() {
    let machine = Machine::new();
    machine.mount(&["b", "/mnt"]);
    fs::create_dir(&machine.places.files[0]).unwrap();
    assert!(machine.refusal().contains("user.toml can't be read"), "{}", machine.refusal());
}

#[test]
fn commands_without_a_bucket_read_no_settings() {
    let machine = Machine::new().user("nonsense");
    for words in [["s3mem", "umount", "/mnt"].as_slice(), &["s3mem", "status"]] {
        machine.parse(words).unwrap();
    }
    machine.parse(&["s3mem", "mount", "b", "/mnt"]).unwrap_err();
}

#[test]
fn a_wrong_value_is_told_with_its_place() {
    let machine = Machine::new().user("region = \"x\"\nmemory = \"much\"\n");
    let args = machine.mount(&["b", "/mnt"]);
    let refused = crate::config::MountSettings::new(&args, &crate::config::Environment::default());
    let said = refused.unwrap_err().to_string();
    let file = machine.places.files[0].display().to_string();
    assert!(said.contains("--memory \"much\" is not a size"), "{said}");
    assert!(said.ends_with(&format!("; line 2 of {file} sets --memory")), "{said}");
    let args = machine.mount(&["b", "/mnt", "--memory", "more"]);
    let refused = crate::config::MountSettings::new(&args, &crate::config::Environment::default());
    assert!(!refused.unwrap_err().to_string().contains("sets"));
}
