"""A task of Windows Task Scheduler as XML; pure (MS-TSCH 2.5: the schema's order of elements)."""

from __future__ import annotations

import html
import re
import subprocess
from pathlib import PurePath
from typing import Final

from reconciler.errors import UsageError
from reconciler.watching.service.job import File, Job, marked

TASK: Final = r"byok\watch"
FILE: Final = "watch-task.xml"
NAMESPACE: Final = "http://schemas.microsoft.com/windows/2004/02/mit/task"
SHORTEST: Final = 60


def files(job: Job, folder: PurePath, user: str) -> tuple[File, ...]:
    """Render the task of a job, for one user while signed in; ``folder`` keeps the file.

    Raises UsageError for an interval or a path that Task Scheduler has no way to say.
    """
    if job.every < SHORTEST:
        raise UsageError("--interval", "Task Scheduler's shortest is a minute", "give 1m or more")
    for text in job.command:
        if re.search(r"%[^%]+%|\$\(", text):
            what = "a path holds what Task Scheduler would replace by a variable"
            raise UsageError("service", what, "use a folder without % and $(")
    first, *rest = job.command
    text = _XML.format(
        marks="".join(f"<!-- {line} -->\n" for line in marked(job)),
        namespace=NAMESPACE,
        interval=f"PT{job.every // 60}M" if job.every % 60 == 0 else f"PT{job.every}S",
        user=html.escape(user, quote=False),
        command=html.escape(first, quote=False),
        arguments=html.escape(subprocess.list2cmdline(rest), quote=False),
    )
    return (File(folder / FILE, text, "utf-16"),)


_XML = """\
<?xml version="1.0" encoding="UTF-16"?>
{marks}<Task version="1.2" xmlns="{namespace}">
  <RegistrationInfo>
    <Description>byok: put back what moved in Cursor</Description>
  </RegistrationInfo>
  <Triggers>
    <TimeTrigger>
      <Enabled>true</Enabled>
      <StartBoundary>2020-01-01T00:00:00</StartBoundary>
      <Repetition>
        <Interval>{interval}</Interval>
        <StopAtDurationEnd>false</StopAtDurationEnd>
      </Repetition>
    </TimeTrigger>
  </Triggers>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <StartWhenAvailable>true</StartWhenAvailable>
    <Enabled>true</Enabled>
    <ExecutionTimeLimit>PT10M</ExecutionTimeLimit>
  </Settings>
  <Principals>
    <Principal id="Author">
      <UserId>{user}</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Actions Context="Author">
    <Exec>
      <Command>{command}</Command>
      <Arguments>{arguments}</Arguments>
    </Exec>
  </Actions>
</Task>
"""
