from decimal import Decimal

import pytest
from sqlalchemy.dialects import postgresql, sqlite

from omega.storage.types import Exact


@pytest.mark.parametrize(
    "text", ["0", "-1.50", "0.000000000000000000000000001", "123456789012345678901234567890.1", "1E+5"]
)
def test_exact_on_sqlite_keeps_every_digit_and_no_exponent(text: str):
    column, dialect = Exact(), sqlite.dialect()

    written = column.process_bind_param(Decimal(text), dialect)

    assert "E" not in written
    assert column.process_result_value(written, dialect) == Decimal(text)


def test_exact_on_postgresql_leaves_the_number_to_the_server():
    column, dialect = Exact(), postgresql.dialect()

    assert column.process_bind_param(Decimal("1.5"), dialect) == Decimal("1.5")
    assert str(column.load_dialect_impl(dialect)) == "NUMERIC"


def test_exact_nothing_stays_nothing():
    column, dialect = Exact(), sqlite.dialect()

    assert column.process_bind_param(None, dialect) is None
    assert column.process_result_value(None, dialect) is None
