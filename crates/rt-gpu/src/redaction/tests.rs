//! What redaction masks, what it leaves alone, and what holds for any command line.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use proptest::prelude::*;

use super::redact_env_args;

fn shown(argv: &[&str]) -> Vec<String> {
    redact_env_args(argv).iter().map(|word| word.to_str().unwrap().to_owned()).collect()
}

/// Both sides in words; a blank separates.
fn check(argv: &str, expected: &str) {
    check_as_it_is(argv, expected);
    let words: Vec<_> = argv.split(' ').collect();
    let program: Vec<_> = std::iter::once("/usr/bin/podman").chain(words).collect();
    assert_eq!(shown(&program)[1..].join(" "), expected);
}

/// The program is among the words.
fn check_as_it_is(argv: &str, expected: &str) {
    let words: Vec<_> = argv.split(' ').collect();
    assert_eq!(shown(&words).join(" "), expected);
}

fn check_stays(argv: &str) {
    check(argv, argv);
}

#[test]
fn every_spelling_of_env_is_masked() {
    check("run -e TOKEN=s img", "run -e TOKEN=<redacted> img");
    check("run --env TOKEN=s img", "run --env TOKEN=<redacted> img");
    check("run --env=TOKEN=s img", "run --env=TOKEN=<redacted> img");
    check("run -eTOKEN=s img", "run -eTOKEN=<redacted> img");
    check("run -e=TOKEN=s img", "run -e=TOKEN=<redacted> img");
    check("run -ie TOKEN=s img", "run -ie TOKEN=<redacted> img");
    check("run -iteTOKEN=s img", "run -iteTOKEN=<redacted> img");
    check("exec -e TOKEN=s name env", "exec -e TOKEN=<redacted> name env");
    check("container create --env TOKEN=s img", "container create --env TOKEN=<redacted> img");
    check("update name --env TOKEN=s", "update name --env TOKEN=<redacted>");
}

#[test]
fn labels_annotations_build_arguments_and_files_are_masked() {
    check("run --label token=s img", "run --label token=<redacted> img");
    check("run -l token=s img", "run -l token=<redacted> img");
    check("create --annotation=a=1,token=s img", "create --annotation=a=1,token=<redacted> img");
    check("build . --build-arg NPM_TOKEN=s", "build . --build-arg NPM_TOKEN=<redacted>");
    check("image build --label=k.token=s .", "image build --label=k.token=<redacted> .");
    check("run --env-file f --secret id,type=env img", "run --env-file <redacted> --secret <redacted> img");
    check("create --creds=u:p img", "create --creds=<redacted> img");
    check("run --log-opt splunk-token=s img", "run --log-opt splunk-token=<redacted> img");
}

#[test]
fn urls_are_masked_wherever_they_stand() {
    check("--url ssh://u:p@h run img", "--url ssh://u:<redacted>@h run img");
    check("run -e DB=postgres://u:p@h/x img", "run -e DB=postgres://u:<redacted>@h/x img");
    check("run --health-cmd=ping://u:p@h img", "run --health-cmd=ping://u:<redacted>@h img");
    check("build https://t@h/x.git", "build https://<redacted>@h/x.git");
    check("run docker://u:p@h/img sh", "run docker://u:<redacted>@h/img sh");
}

#[test]
fn global_options_come_before_the_verb_and_after_it() {
    check(
        "--root /r --log-level debug run -e TOKEN=s i",
        "--root /r --log-level debug run -e TOKEN=<redacted> i",
    );
    check("-r -c conn run -e TOKEN=s i", "-r -c conn run -e TOKEN=<redacted> i");
    check("run --log-level debug -e TOKEN=s i", "run --log-level debug -e TOKEN=<redacted> i");
    check("--root run run -e TOKEN=s i", "--root run run -e TOKEN=<redacted> i");
}

#[test]
fn a_podman_behind_env_and_assignments_is_read_too() {
    check_as_it_is(
        "env TOKEN=s A=b podman run -e TOKEN=s i",
        "env TOKEN=<redacted> A=b podman run -e TOKEN=<redacted> i",
    );
    check_as_it_is("TOKEN=s podman exec -it c sh", "TOKEN=<redacted> podman exec -it c sh");
}

#[test]
fn the_command_is_not_podmans() {
    check_stays("run img sh -e TOKEN=s");
    check_stays("run img sh -e KEYFILE");
    check_stays("run -- img -e TOKEN=s");
    check_stays("exec name -e TOKEN=s http://u:p@h");
    check_stays("exec -it -w /tmp -u dev name TOKEN=s");
}

#[test]
fn words_without_a_secret_stay() {
    check_stays("run -e API_KEY img");
    check_stays("run -e TOKEN= -e MONKEY=x -e CAPITAL=y img");
    check_stays("run --device nvidia.com/gpu=all -p 80:80 -v /a:/b --name web img");
    check_stays("ps --all --format=json");
    check_stays("run - x");
    check_stays("run");
    check_stays("run -e");
    check_stays("");
}

#[test]
fn an_option_like_value_does_not_hide_the_next_word() {
    check("run -e -e API_KEY=s img", "run -e -e API_KEY=<redacted> img");
    check("run -e -e API_KEY=s -e TOKEN=t img", "run -e -e API_KEY=<redacted> -e TOKEN=<redacted> img");
}

#[test]
fn an_option_of_a_newer_podman_does_not_open_a_gap() {
    check("run --brand-new x -e TOKEN=s img", "run --brand-new x -e TOKEN=<redacted> img");
    check("run --brand-new -e TOKEN=s img", "run --brand-new -e TOKEN=<redacted> img");
    check("run --new-token x img", "run --new-token <redacted> img");
    check("run -Z x -e TOKEN=s img", "run -Z x -e TOKEN=<redacted> img");
    check("--brand-new run -e TOKEN=s img", "--brand-new run -e TOKEN=<redacted> img");
}

#[test]
fn other_verbs_are_masked_by_name_alone() {
    check_as_it_is("podman login -u u -p pw quay.io", "podman login -u u -p <redacted> quay.io");
    check_as_it_is("podman login --password pw quay.io", "podman login --password <redacted> quay.io");
    check_as_it_is("podman pod create --label token=s", "podman pod create --label token=<redacted>");
    check_as_it_is(
        "podman volume create --opt=password=s v",
        "podman volume create --opt=password=<redacted> v",
    );
}

#[test]
fn of_a_login_every_spelling_of_the_password_is_masked() {
    check("login -u me -ps3cret quay.io", "login -u me -p<redacted> quay.io");
    check("login -p=s3cret q", "login -p=<redacted> q");
    check("login -vps3cret q", "login -vp<redacted> q");
    check("login q -vp s3cret", "login q -vp <redacted>");
    check("login --password=s3cret q", "login --password=<redacted> q");
    check("login --secret s3cret q --tls-verify", "login --secret <redacted> q --tls-verify");
    check_stays("login --password-stdin -u me -v quay.io");
}

#[test]
fn a_hidden_value_may_begin_with_a_dash() {
    check("login --password -s3cret q", "login --password <redacted> q");
    check("login -p -s3cret q", "login -p <redacted> q");
    check_as_it_is("podman push --creds -u:s3cret img", "podman push --creds <redacted> img");
    check_as_it_is("podman pull -q --creds -u:s3cret -a", "podman pull -q --creds <redacted> -a");
    check("run --password -s3cret img", "run --password <redacted> img");
    check("--creds -u:s3cret run img", "--creds <redacted> run img");
}

#[test]
fn pairs_in_pairs_are_masked() {
    check_as_it_is(
        "podman volume create --opt o=password=s3cret,username=x v",
        "podman volume create --opt o=password=<redacted> v",
    );
    check_as_it_is("podman volume create -oo=password=s v", "podman volume create -oo=password=<redacted> v");
    check_as_it_is(
        "podman secret create --driver-opts path=/x,key=s n -",
        "podman secret create --driver-opts path=/x,key=<redacted> n -",
    );
    check(
        "run --mount type=volume,volume-opt=password=s i",
        "run --mount type=volume,volume-opt=password=<redacted> i",
    );
    check(
        "run --mount=type=volume,volume-opt=o=password=s i",
        "run --mount=type=volume,volume-opt=o=password=<redacted> i",
    );
    check_stays("run --mount type=bind,src=/a,dst=/b,ro=true -e X=YWJj= img");
}

#[test]
fn other_options_that_carry_secrets_are_masked() {
    check("run --health-cmd PGPASSWORD=s img", "run --health-cmd PGPASSWORD=<redacted> img");
    check("run --entrypoint=x,--token=s img", "run --entrypoint=x,--token=<redacted> img");
    check("run --passwd-entry u:hash:1:1 img", "run --passwd-entry <redacted> img");
    check("build --cpp-flag=-DTOKEN=s .", "build --cpp-flag=-DTOKEN=<redacted> .");
    check("build --build-context x=https://s@h/y .", "build --build-context x=https://<redacted>@h/y .");
    check_stays("build --ssh default=/keys/id --build-context api=./api .");
}

#[test]
fn several_urls_and_quotes_do_not_hide_a_password_from_the_mask() {
    check("run -e R=a://u:s3cret@h,b://u:s3cret@h img", "run -e R=a://u:<redacted>@h img");
    check("run -e DB=postgres://u:pa's3cret@h/db img", "run -e DB=postgres://u:<redacted>@h/db img");
    check("build https://s3cret:x-oauth-basic@h/a", "build https://<redacted>:x-oauth-basic@h/a");
}

#[test]
fn words_that_are_not_utf8_are_masked_and_kept_alike() {
    let words = [&b"run"[..], b"-e", b"TOKEN=\xff\xfe", b"-e", b"A=\xff", b"\xffimg"]
        .map(|word| OsString::from_vec(word.to_vec()));
    let shown = redact_env_args(&words);
    assert_eq!(&*shown[2], "TOKEN=<redacted>");
    assert_eq!((&*shown[4], &*shown[5]), (&*words[4], &*words[5]));
}

/// Every way to hand a pair to podman: the words before the pair, and what stands in the pair's own
/// word before it.
const SPELLINGS: [(&[&str], &str); 20] = [
    (&["-e"], ""),
    (&["--env"], ""),
    (&[], "--env="),
    (&[], "-e"),
    (&[], "-e="),
    (&["-ie"], ""),
    (&[], "-ite"),
    (&["--label"], ""),
    (&[], "-l"),
    (&[], "--label="),
    (&["--annotation"], ""),
    (&[], "--annotation=a=b,"),
    (&["--env-merge"], ""),
    (&["--log-opt"], ""),
    (&["-e"], "A=b="),
    (&["--mount"], "type=volume,volume-opt="),
    (&[], "--mount=type=volume,volume-opt=o=a=b,"),
    (&["--health-cmd"], ""),
    (&["-e"], "A=http://u:p@h,"),
    (&["-e"], "A=ssh://git@h/x?y=z "),
];

/// Options that stand around it.
const COMPANIONS: [&[&str]; 12] = [
    &[],
    &["-it"],
    &["--rm"],
    &["--name", "web"],
    &["-p", "80:80"],
    &["--name=web"],
    &["-v", "/a:/b"],
    &["--network", "none"],
    &["--device", "nvidia.com/gpu=all"],
    &["-e", "API_KEY"],
    &["--log-level", "debug"],
    &["--memory", "1g", "-q"],
];

/// URLs without a password, which stand before one with it.
const URLS: [&str; 6] = [
    "ssh://git@h",
    "http://h:80",
    "http://h:80/x?a=b",
    "https://h/@a",
    "postgres://u:@h",
    "https://t:x-oauth-basic@h",
];

proptest! {
    #[test]
    fn no_spelling_in_no_position_shows_a_secret(
        globals in proptest::sample::subsequence(vec!["--remote", "--root=/r", "--log-level=info"], 0..=3),
        verb in proptest::sample::select(vec!["create", "run"]),
        before in proptest::collection::vec(0..COMPANIONS.len(), 0..4),
        spelling in 0..SPELLINGS.len(),
        name in "[A-Z]{0,4}(PASSWORD|_KEY|TOKEN|_API_|SECRET)[A-Z0-9_]{0,0}",
        secret in "[a-zA-Z0-9,=/ :@?&%+.'\"`-]{0,8}s3cretX[a-zA-Z0-9,=/ :@?&%+.'\"`-]{0,8}",
        after in proptest::collection::vec(0..COMPANIONS.len(), 0..4),
    ) {
        let mut argv: Vec<String> = vec!["podman".into()];
        argv.extend(globals.into_iter().map(String::from));
        argv.push(verb.into());
        argv.extend(before.into_iter().flat_map(|place| COMPANIONS[place]).map(ToString::to_string));
        let (words, prefix) = SPELLINGS[spelling];
        argv.extend(words.iter().map(ToString::to_string));
        argv.push(format!("{prefix}{name}={secret}"));
        argv.extend(after.into_iter().flat_map(|place| COMPANIONS[place]).map(ToString::to_string));
        argv.extend(["img".into(), "cmd".into()]);
        let shown = redact_env_args(&argv);
        prop_assert_eq!(shown.len(), argv.len());
        prop_assert!(shown.iter().all(|word| !word.to_str().unwrap().contains("s3cretX")), "{:?}", shown);
        let twice = redact_env_args(&shown);
        prop_assert_eq!(&twice, &shown);
    }

    #[test]
    fn no_url_shows_a_password(
        option in proptest::sample::select(vec!["-eA=", "--url=", "-v=", "--label=a=b,c=", "--mount=type=volume,o=", ""]),
        before in proptest::collection::vec((0..URLS.len(), "[,;| ]|"), 0..3),
        scheme in "[a-z]{1,4}|https?|git\\+https",
        user in "[a-z._-]{1,4}",
        passwords in proptest::collection::vec(
            ("[a-zA-Z,=/:@?&%+.'`|;#-]{0,5}s3cretX[a-zA-Z0-9,=/:@?&%+.'`|;#-]{0,5}|s3cretX://[a-z@:,/]{0,4}", "[,;| ]|"),
            1..3,
        ),
        path in "(/[a-z@=?,]{0,4})?",
    ) {
        let before = before.iter().map(|(place, sign)| format!("{}{sign}", URLS[*place]));
        let urls =
            passwords.iter().map(|(password, sign)| format!("{scheme}://{user}:{password}@h{path}{sign}"));
        let value = before.chain(urls).collect::<Vec<_>>().concat();
        let argv = ["podman".into(), "run".into(), format!("{option}{value}"), "img".into()];
        let shown = redact_env_args(&argv);
        prop_assert!(!shown[2].to_str().unwrap().contains("s3cretX"), "{:?}", shown);
        prop_assert_eq!(&redact_env_args(&shown), &shown);
    }

    #[test]
    fn no_login_and_no_creds_show_a_password(
        option in proptest::sample::select(vec!["-p ", "-p", "-p=", "-vp ", "-vp", "--password ", "--password=", "--creds ", "--creds="]),
        verb in proptest::sample::select(vec!["login", "login -u me", "login --tls-verify", "login quay.io"]),
        other in proptest::sample::select(vec!["push", "pull -q", "manifest push", "run", "build", "kube play"]),
        password in "[a-zA-Z0-9,=/:@-]{0,5}s3cretX[a-zA-Z0-9,=/:@-]{0,5}",
    ) {
        let verb = if option.starts_with("--creds") { other } else { verb };
        let line = format!("podman {verb} {option}{password} x");
        let words: Vec<_> = line.split(' ').collect();
        let shown = redact_env_args(&words);
        prop_assert_eq!(shown.len(), words.len());
        prop_assert!(shown.iter().all(|word| !word.to_str().unwrap().contains("s3cretX")), "{:?}", shown);
        prop_assert_eq!(&redact_env_args(&shown), &shown);
    }

    #[test]
    fn any_words_keep_their_number_and_are_masked_once(
        words in proptest::collection::vec("(podman|run|exec|build|login|push|--|-e|--env|--secret|--creds|-p|-px|TOKEN=x|o=password=x|a://b:c@d|a://b:c@d,e://f:g@h|https://t:@h)|[ -~]{0,12}|[a:/@,=?&\"' TOKEN]{0,16}", 0..12),
    ) {
        let shown = redact_env_args(&words);
        prop_assert_eq!(shown.len(), words.len());
        prop_assert_eq!(&redact_env_args(&shown), &shown);
    }

    #[test]
    fn a_command_line_without_secrets_is_borrowed(
        words in proptest::collection::vec("[a-z0-9./]{1,8}|-[itq]|--(name|env|volume|rm)|[A-F]{1,3}X=[a-z]{0,5}={0,2}|[A-F]X=[a-o]{1,2}=[a-z]{1,2}|(https?://h(:80)?/[a-z@]{0,3},?){1,3}|ssh://git@h(,ssh://git@h)?|type=bind,src=/a", 0..12),
    ) {
        for (word, shown) in words.iter().zip(redact_env_args(&words)) {
            prop_assert!(matches!(shown, std::borrow::Cow::Borrowed(_)), "{}", word);
        }
    }
}
