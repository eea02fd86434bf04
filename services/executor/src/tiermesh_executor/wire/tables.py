"""Tables of the contract as the executor's own."""

from tiermesh.common.v1 import table_pb2

from tiermesh_executor.tables import Cell, CellType, Column, Table

_TYPES: dict[int, CellType] = {
    table_pb2.COLUMN_TYPE_INTEGER: "integer",
    table_pb2.COLUMN_TYPE_DECIMAL: "decimal",
    table_pb2.COLUMN_TYPE_DOUBLE: "double",
    table_pb2.COLUMN_TYPE_BOOLEAN: "boolean",
    table_pb2.COLUMN_TYPE_DATE: "date",
    table_pb2.COLUMN_TYPE_TIMESTAMP: "timestamp",
}


def table_from(message: table_pb2.Table) -> Table:
    """The message itself stays with the table: it is what the user gets."""
    return Table(
        columns=[
            Column(
                name=column.name,
                label=column.label,
                type=_TYPES.get(column.type, "string"),
                unit=column.unit,
                currency=column.currency,
                measure=column.measure,
            )
            for column in message.columns
        ],
        rows=[[_cell(value) for value in row.values] for row in message.rows],
        truncated=message.truncated,
        notes=list(message.notes),
        caption=message.caption,
        statements=message.statements,
        source=message,
    )


def _cell(value: table_pb2.Value) -> Cell:
    kind = value.WhichOneof("kind")
    cell: Cell = None if kind is None else getattr(value, kind)
    return cell
