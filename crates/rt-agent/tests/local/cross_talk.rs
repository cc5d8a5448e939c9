//! Many commands at once: each has its own streams, and no other's.

use rt_protocol::{ExecRequest, ExecStdio, Sink, Source, Until};

use crate::fixture::{LONG, LocalAgent};

#[test]
fn streams_of_many_commands_are_never_mixed() {
    const THREADS: usize = 64;
    const COMMANDS: usize = 20;
    let local = LocalAgent::start();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let local = &local;
            scope.spawn(move || {
                for command in 0..COMMANDS {
                    let name = format!("{thread}.{command}");
                    let request = ExecRequest::builder([
                        "sh",
                        "-c",
                        "echo $NAME $1 >&2; cat; ls /proc/self/fd | wc -l; exit $2",
                        "sh",
                    ])
                    .env("NAME", &name)
                    .build()
                    .unwrap();
                    let words = request.argv().words().iter().cloned();
                    let more = [name.clone(), (thread % 100).to_string()].map(Into::into);
                    let request =
                        ExecRequest::builder(words.chain(more)).envs(request.env()).build().unwrap();
                    let (mut out, mut err) = (Vec::new(), Vec::new());
                    let stdio = ExecStdio::new(Source::bytes(name.repeat(1000)), Sink::borrowed(&mut out))
                        .stderr(Sink::borrowed(&mut err));
                    let result = local.exec_stdio(&request, stdio, &Until::after(LONG)).unwrap();
                    assert_eq!(result.outcome.code(), Some(i32::try_from(thread % 100).unwrap()));
                    // 0, 1, 2, and that of the directory.
                    assert_eq!(String::from_utf8(out).unwrap(), format!("{}4\n", name.repeat(1000)));
                    assert_eq!(String::from_utf8(err).unwrap(), format!("{name} {name}\n"));
                }
            });
        }
    });
}
