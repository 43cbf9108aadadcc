#!/bin/sh
# The smallest command agent: it writes down what it was told, and says so.
#
# The message is on standard input. The current directory is the worktree, on its branch.
# Whatever is printed is what the agent says; a status other than 0 is a failure, and what was
# printed on standard error then is its reason.
set -eu

cat > TOLD.md
git add TOLD.md
git commit -q -m "Write down what I was told"

echo "I have written down $(wc -c < TOLD.md) bytes as a $KUGETSU_AGENT_ROLE agent."
