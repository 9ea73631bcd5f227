"""Pages that need nobody: one HTML file that holds the front end and what it shows, and opens anywhere."""

from downslope.reporting.one_file import Answers, document, size_in_page, title_of
from downslope.reporting.writing import report, report_document

__all__ = ["Answers", "document", "report", "report_document", "size_in_page", "title_of"]
