"""Make the model zoo's page of the metafile.

python tools/model_zoo.py          # writes configs/embedmask/README.md
python tools/model_zoo.py --check  # says whether it is up to date
"""

from collections.abc import Sequence
from pathlib import Path

from mmdet_embedmask import cli
from mmdet_embedmask.files import write_bytes
from mmdet_embedmask.release.model_zoo import FOLDER, METAFILE, read_models, zoo_page


def main(argv: Sequence[str] | None = None) -> None:
    """Write or compare."""
    parser = cli.tool_parser(__doc__)
    parser.add_argument("--root", type=Path, default=Path("."), help="of the repository (.)")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if it differs")
    args = parser.parse_args(argv)
    metafile, page = args.root / FOLDER / METAFILE, args.root / FOLDER / "README.md"
    if not metafile.is_file():
        parser.error(f"{metafile} is not a file: run this in the repository, or give its --root")
    try:
        text = zoo_page(read_models(metafile), FOLDER)
    except ValueError as error:
        parser.error(str(error))
    if not args.check:
        write_bytes(page, text.encode())
        print(f"{page}: written")
    elif not page.is_file() or page.read_text(encoding="utf-8") != text:
        raise SystemExit(f"{page} differs from {metafile}: run python tools/model_zoo.py")
    else:
        print(f"{page}: up to date")


if __name__ == "__main__":
    main()
