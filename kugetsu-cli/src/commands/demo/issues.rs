//! The four issues, and what the scripted model makes of each.

/// An issue of the sample repository.
pub(super) struct Issue {
    pub(super) number: u64,
    pub(super) title: &'static str,
    /// What the model answers, step by step; see the scripted model of the testkit.
    pub(super) script: &'static str,
}

pub(super) const ISSUES: [Issue; 4] = [
    Issue {
        number: 1,
        title: "Greet whoever reads the README",
        script: r#"
MODEL: sleep 0.6
MODEL: say I read the README before I add anything.
MODEL: tool bash {"command": "cat README.md", "description": "read the README"}
MODEL: sleep 0.8 ;; write greeting.txt Hello, and welcome to the sample!
MODEL: sleep 0.5
MODEL: tool bash {"command": "git add --all && git commit -qm 'add a greeting'", "description": "commit"}
MODEL: sleep 0.5
MODEL: tool bash {"command": "git push -q origin HEAD", "description": "push the branch"}
MODEL: sleep 0.4 ;; say The greeting is in greeting.txt, committed and pushed."#,
    },
    Issue {
        number: 2,
        title: "Count the words of a file",
        script: r#"
MODEL: sleep 0.5
MODEL: say A small script is enough for that.
MODEL: write scripts/count.sh wc -w < "$1"
MODEL: sleep 0.9
MODEL: say I try it on the README.
MODEL: tool bash {"command": "sh scripts/count.sh README.md", "description": "count the words of the README"}
MODEL: sleep 0.5
MODEL: tool bash {"command": "git add --all && git commit -qm 'count words'", "description": "commit"}
MODEL: sleep 0.6
MODEL: tool bash {"command": "git push -q origin HEAD", "description": "push the branch"}
MODEL: sleep 0.4 ;; say scripts/count.sh counts words; it works on the README."#,
    },
    Issue {
        number: 3,
        title: "Mend the check, which fails",
        script: r#"
MODEL: sleep 0.5
MODEL: say I see for myself how it fails.
MODEL: tool bash {"command": "sh check.sh", "description": "run the check"}
MODEL: sleep 0.8
MODEL: say It needs a file that is not there, so I add it.
MODEL: write data.txt 42
MODEL: sleep 0.5
MODEL: tool bash {"command": "sh check.sh", "description": "run the check again"}
MODEL: sleep 0.5
MODEL: tool bash {"command": "git add --all && git commit -qm 'mend the check'", "description": "commit"}
MODEL: sleep 0.5
MODEL: tool bash {"command": "git push -q origin HEAD", "description": "push the branch"}
MODEL: sleep 0.4 ;; say The check passes now."#,
    },
    Issue {
        number: 4,
        title: "Keep a changelog",
        script: r#"
MODEL: sleep 0.5
MODEL: say A changelog has one line for each change, the newest first.
MODEL: write CHANGELOG.md # Changes\n\n- The project has a changelog.
MODEL: sleep 0.5
MODEL: tool bash {"command": "git add --all && git commit -qm 'keep a changelog'", "description": "commit"}
MODEL: sleep 0.6
MODEL: say The README has to point to it.
MODEL: edit README.md # Sample => # Sample\n\nSee CHANGELOG.md for what has changed.
MODEL: sleep 0.5
MODEL: tool bash {"command": "git add --all && git commit -qm 'point to the changelog'", "description": "commit"}
MODEL: sleep 0.5
MODEL: tool bash {"command": "git push -q origin HEAD", "description": "push the branch"}
MODEL: sleep 0.4 ;; say CHANGELOG.md is there, and the README points to it."#,
    },
];
